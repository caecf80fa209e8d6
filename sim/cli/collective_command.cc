// meshstep collective: one collective on one group, beside its closed form and its lower bound.

#include <iostream>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/collective_report.pb.h"
#include "sim/base/catalog.h"
#include "sim/cli/commands.h"
#include "sim/cli/values.h"
#include "sim/cost/collective.h"
#include "sim/report/collective_text.h"
#include "sim/simulate/collective_report.h"
#include "sim/simulate/collective_setup.h"

namespace meshstep {
namespace {

struct Options {
  std::string kind, bytes, sweep, algorithm = "auto", fidelity = "calibrated", rates = "datasheet";
  CollectivePlace place;
  bool stepwise = false, why = false;
  OutputFormat format = OutputFormat::kText;
};

// "AllGather", "all_gather" and "allgather" are "all-gather".
std::string KindOf(const std::string& written) {
  const auto letters = [](const std::string& text) {
    std::string plain;
    for (const char c : text) {
      if (c != '-' && c != '_') plain += absl::ascii_tolower(static_cast<unsigned char>(c));
    }
    return plain;
  };
  for (const char* kind : {"all-gather", "reduce-scatter", "all-reduce", "all-to-all"}) {
    if (letters(written) == letters(kind)) return kind;
  }
  return written;
}

// Sizes from the first to the last by factors of two.
StatusOr<std::vector<double>> SizesOf(const Options& options) {
  if (options.sweep.empty() == options.bytes.empty()) {
    return InvalidInput("--bytes or --sweep: expected one of the two");
  }
  if (!options.bytes.empty()) {
    ASSIGN_OR_RETURN(const double bytes, ReadBytes("--bytes", options.bytes));
    return std::vector<double>{bytes};
  }
  const std::size_t colon = options.sweep.find(':');
  if (colon == std::string::npos) {
    return InvalidInput(
        absl::StrCat("--sweep: is \"", options.sweep, "\", expected FROM:TO, as 1KiB:16GiB"));
  }
  ASSIGN_OR_RETURN(const double from, ReadBytes("--sweep", options.sweep.substr(0, colon)));
  ASSIGN_OR_RETURN(const double to, ReadBytes("--sweep", options.sweep.substr(colon + 1)));
  if (from < 1 || to < from) {
    return InvalidInput(absl::StrCat("--sweep: is \"", options.sweep,
                                     "\", expected FROM of at least 1 and at most TO"));
  }
  std::vector<double> sizes;
  for (double bytes = from; bytes <= to; bytes *= 2) sizes.push_back(bytes);
  return sizes;
}

// One report as it is, a sweep as an array.
std::string Written(const v1::CollectiveReports& reports, const Options& options) {
  const bool one = options.sweep.empty();
  if (options.format == OutputFormat::kText) {
    std::string text = one ? ToText(reports.reports(0)) : ToText(reports);
    for (const v1::CollectiveReport& report : reports.reports()) {
      if (options.why) absl::StrAppend(&text, WhyText(report));
    }
    return text;
  }
  if (one) return Serialize(reports.reports(0), options.format);
  if (options.format != OutputFormat::kJson) return Serialize(reports, options.format);
  std::string out;
  for (const v1::CollectiveReport& report : reports.reports()) {
    absl::StrAppend(&out, out.empty() ? "[" : ",\n", ToJson(report));
  }
  return out + "]\n";
}

StatusOr<v1::CollectiveReports> Run(Options options) {
  options.place.fidelity = options.fidelity == "ideal" ? Fidelity::kIdeal : Fidelity::kCalibrated;
  options.place.rates = options.rates == "book" ? RateSet::kBook : RateSet::kDatasheet;
  ASSIGN_OR_RETURN(const Collective collective, ParseCollective(KindOf(options.kind)));
  ASSIGN_OR_RETURN(const std::vector<double> sizes, SizesOf(options));
  ASSIGN_OR_RETURN(const CollectiveSetup setup, SetUpCollective(options.place, Catalog()));
  for (const std::string& note : setup.notes) std::cerr << note << "\n";
  return TimeCollective(setup, collective, sizes,
                        {options.algorithm, options.place.fidelity, options.stepwise, options.why});
}

}  // namespace

void AddCollectiveCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "collective", "Time one collective, beside its closed form and its physical lower bound");
  command->add_option("KIND", options->kind, "all-gather, all-reduce, all-to-all, ...")->required();
  command->add_option("--bytes", options->bytes, "Size as nccl-tests counts it, as 64MiB");
  command->add_option("--sweep", options->sweep, "Sizes by factors of two, as 1KiB:16GiB");
  command->add_option("--cluster", options->place.cluster,
                      "A name from `meshstep list clusters`, or FILE.textproto");
  command->add_option("--slice", options->place.slice, "Of a torus cluster, as 8x8x16");
  command
      ->add_option("--slices", options->place.slices,
                   "Equal slices of a torus cluster, joined by the data-center network")
      ->check(CLI::PositiveNumber);
  command->add_flag("--twisted", options->place.twisted,
                    "The slice, n x n x 2n or n x 2n x 2n, is a twisted torus");
  command
      ->add_option("--chips", options->place.chips, "Of a cluster of nodes, or a ring of the chip")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--axes", options->place.axes,
                      "Levels of the cluster that the group spans, as x,y or node (default: all)");
  command->add_option("--library", options->place.library,
                      "Of collectives: nccl, rccl or xla (default: the cluster's)");
  command->add_option("--chip", options->place.chip, "A name from `meshstep list chips`");
  command->add_option("--mesh", options->place.mesh, "Axes of chips, as X=4,Y=8");
  command->add_option("--over", options->place.over, "Axes that the group spans (default: all)");
  command->add_option("--algorithm", options->algorithm, "auto (default), or a name");
  command->add_option("--fidelity", options->fidelity, "calibrated (default) or ideal")
      ->check(CLI::IsMember({"calibrated", "ideal"}));
  command->add_option("--rates", options->rates, "datasheet (default) or book")
      ->check(CLI::IsMember({"datasheet", "book"}));
  command->add_flag("--stepwise", options->stepwise, "Also simulate it message by message");
  command->add_flag("--why", options->why,
                    "Also what the library could run: simulated, and as its tuner takes it");
  AddFormatOption(command, &options->format);
  command->footer(
      "Example:\n  meshstep collective all-gather --bytes=64MiB --chip=tpu-v5p --mesh=X=4 "
      "--over=X");
  command->callback([options] {
    const StatusOr<v1::CollectiveReports> reports = Run(*options);
    if (!reports.ok()) Fail(reports.status());
    Print(Written(*reports, *options));
  });
}

}  // namespace meshstep
