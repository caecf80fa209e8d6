// meshstep collective: one collective on one group, beside its closed form and its lower bound.

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/collective_report.pb.h"
#include "sim/base/format.h"
#include "sim/cli/collective_setup.h"
#include "sim/cli/commands.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/lower_bound.h"
#include "sim/cost/stepwise.h"

namespace meshstep {
namespace {

// Message by message, all-to-all of p ranks is p^2 flows, a ring all-reduce 2 p^2.
constexpr int kMostStepwiseRanks = 1024;

struct Options {
  std::string kind, bytes, sweep, algorithm = "auto", fidelity = "calibrated", rates = "datasheet";
  CollectivePlace place;
  bool stepwise = false, why = false;
  OutputFormat format = OutputFormat::kText;
};

// As nccl-tests, doc/PERFORMANCE.md.
double BusFactor(Collective collective, double p) {
  switch (collective) {
    case Collective::kAllReduce:
      return 2 * (p - 1) / p;
    case Collective::kAllGather:
    case Collective::kReduceScatter:
    case Collective::kAllToAll:
      return (p - 1) / p;
    case Collective::kBroadcast:
    case Collective::kReduce:
    case Collective::kPermute:
      return 1;
  }
  return 1;
}

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
    ASSIGN_OR_RETURN(const double bytes, ParseByteCount("--bytes", options.bytes));
    return std::vector<double>{bytes};
  }
  const std::size_t colon = options.sweep.find(':');
  if (colon == std::string::npos) {
    return InvalidInput(
        absl::StrCat("--sweep: is \"", options.sweep, "\", expected FROM:TO, as 1KiB:16GiB"));
  }
  ASSIGN_OR_RETURN(const double from, ParseByteCount("--sweep", options.sweep.substr(0, colon)));
  ASSIGN_OR_RETURN(const double to, ParseByteCount("--sweep", options.sweep.substr(colon + 1)));
  if (from < 1 || to < from) {
    return InvalidInput(absl::StrCat("--sweep: is \"", options.sweep,
                                     "\", expected FROM of at least 1 and at most TO"));
  }
  std::vector<double> sizes;
  for (double bytes = from; bytes <= to; bytes *= 2) sizes.push_back(bytes);
  return sizes;
}

void AddCandidates(const std::vector<CollectiveModel::Offer>& offers,
                   v1::CollectiveReport* report) {
  for (const CollectiveModel::Offer& offer : offers) {
    v1::CollectiveCandidate* candidate = report->add_candidates();
    candidate->set_library_algorithm(std::string(offer.cost.library_name));
    candidate->set_protocol(std::string(offer.cost.protocol));
    candidate->set_algorithm(std::string(offer.cost.algorithm->name()));
    candidate->set_tuner_s(offer.tuner.value());
    candidate->set_time_s(offer.cost.idle_time.value());
  }
}

StatusOr<v1::CollectiveReport> Time(const CollectiveSetup& setup, const CollectiveModel& model,
                                    Collective collective, Bytes bytes, const Options& options) {
  const Group group = setup.mesh->GroupOf(setup.axes, 0);
  v1::CollectiveReport report;
  report.set_collective(std::string(NameOf(collective)));
  report.set_ranks(group.size());
  report.set_bytes(bytes.value());
  ASSIGN_OR_RETURN(const CollectiveCost cost,
                   model.Cost(collective, bytes, setup.axes, 0, options.algorithm));
  report.set_algorithm("none");
  if (cost.algorithm == nullptr) return report;
  const double time = cost.idle_time.value();
  report.set_algorithm(std::string(cost.algorithm->name()));
  report.set_protocol(std::string(cost.protocol));
  if (options.why) AddCandidates(model.Offers(collective, bytes, setup.axes, 0), &report);
  report.set_time_s(time);
  report.set_closed_form_s(cost.algorithm->ClosedForm(collective, bytes, group).value());
  report.set_lower_bound_s(LowerBoundOf(*setup.fabric, group, collective, bytes).value().value());
  report.set_algbw_bytes_per_s(time > 0 ? bytes.value() / time : 0);
  report.set_busbw_bytes_per_s(report.algbw_bytes_per_s() * BusFactor(collective, group.size()));
  if (options.stepwise) {
    report.set_stepwise_s(
        Stepwise(*setup.fabric, group, *cost.algorithm, collective, bytes).time.seconds());
  }
  return report;
}

std::string Rate(double bytes_per_s) { return FormatTraffic(bytes_per_s) + "/s"; }

// The candidates of one size; what was measured stands before them.
std::string WhyText(const v1::CollectiveReport& report) {
  if (report.candidates().empty()) {
    return "\nno library's algorithms are known for this group: the quickest of all runs\n";
  }
  std::vector<std::vector<std::string>> rows = {
      {"library", "protocol", "runs as", "simulated", "by its tuner"}};
  for (const v1::CollectiveCandidate& c : report.candidates()) {
    rows.push_back({c.library_algorithm(), c.protocol(), c.algorithm(), FormatSeconds(c.time_s()),
                    FormatSeconds(c.tuner_s())});
  }
  const bool measured = report.protocol().empty();
  return absl::StrCat("\n", FormatTable(rows, "<<<>>", 1),
                      measured ? "measured curves of this domain decide instead of these\n" : "");
}

std::string ToText(const v1::CollectiveReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"collective", absl::StrCat(report.collective(), " of ", FormatTraffic(report.bytes()))},
      {"ranks", FormatCount(report.ranks())},
      {"algorithm", report.protocol().empty()
                        ? report.algorithm()
                        : absl::StrCat(report.algorithm(), ", ", report.protocol())},
      {"time", FormatSeconds(report.time_s())},
      {"closed form", FormatSeconds(report.closed_form_s())},
      {"lower bound", FormatSeconds(report.lower_bound_s())}};
  if (report.has_stepwise_s()) {
    rows.push_back({"step by step", FormatSeconds(report.stepwise_s())});
  }
  rows.push_back({"algorithm bandwidth", Rate(report.algbw_bytes_per_s())});
  rows.push_back({"bus bandwidth", Rate(report.busbw_bytes_per_s())});
  return FormatTable(rows, "<<", 0);
}

std::string ToText(const v1::CollectiveReports& reports) {
  std::vector<std::vector<std::string>> rows = {
      {"size", "time", "algbw", "busbw", "lower bound", "algorithm"},
      {"B", "us", "GB/s", "GB/s", "us", ""}};
  for (const v1::CollectiveReport& report : reports.reports()) {
    rows.push_back({FormatCount(static_cast<std::int64_t>(report.bytes())),
                    FormatNumber(report.time_s() * 1e6, 4),
                    FormatNumber(report.algbw_bytes_per_s() * 1e-9, 4),
                    FormatNumber(report.busbw_bytes_per_s() * 1e-9, 4),
                    FormatNumber(report.lower_bound_s() * 1e6, 4), report.algorithm()});
  }
  return FormatTable(rows, ">>>>><", 0);
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
  ASSIGN_OR_RETURN(const CollectiveSetup setup, SetUpCollective(options.place));
  const int ranks = setup.mesh->GroupOf(setup.axes, 0).size();
  if (options.stepwise && ranks > kMostStepwiseRanks) {
    return InvalidInput(absl::StrCat("--stepwise: the group has ", ranks,
                                     " ranks, expected at most ", kMostStepwiseRanks));
  }
  const LinkClasses classes(*setup.mesh, {});
  const CollectiveModel model(*setup.mesh, &classes, options.place.fidelity);
  v1::CollectiveReports reports;
  for (const double bytes : sizes) {
    ASSIGN_OR_RETURN(*reports.add_reports(), Time(setup, model, collective, Bytes(bytes), options));
  }
  return reports;
}

}  // namespace

void AddCollectiveCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "collective", "Time one collective, beside its closed form and its physical lower bound");
  command->add_option("KIND", options->kind, "all-gather, all-reduce, all-to-all, ...")->required();
  command->add_option("--bytes", options->bytes, "Size as nccl-tests counts it, as 64MiB");
  command->add_option("--sweep", options->sweep, "Sizes by factors of two, as 1KiB:16GiB");
  command->add_option("--cluster", options->place.cluster, "A name from `meshstep list clusters`");
  command->add_option("--slice", options->place.slice, "Of a torus cluster, as 8x8x16");
  command
      ->add_option("--chips", options->place.chips, "Of a cluster of nodes, or a ring of the chip")
      ->check(CLI::PositiveNumber);
  command->add_option("--axes", options->place.axes,
                      "Levels of the cluster that the group spans, as x,y or node (default: all)");
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
