// meshstep einsum: answers a mesh-sharding exercise.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "sim/cli/commands.h"
#include "sim/report/arithmetic/terms.h"
#include "sim/report/einsum_report.h"
#include "strategies/einsum/answer.h"
#include "strategies/einsum/load_hardware.h"
#include "strategies/einsum/notation/parser.h"
#include "strategies/einsum/notation/spelling.h"

namespace meshstep {
namespace {

using einsum::CostModel;

struct Options {
  std::string expression, mesh, dtype = "bf16", reduce_dtype, chip, cluster, order;
  std::string rates = "book", cost;
  std::string overlap = "max";
  std::vector<std::string> dims;
  std::optional<double> latency, peak, hbm, link;
  bool pad = false, explain = false;
  std::size_t top = 3;
  OutputFormat format = OutputFormat::kText;
};

// More than the parser takes, so that a longer text is refused and not cut.
constexpr std::size_t kMaxInput = 1 << 17;

constexpr char kFooter[] =
    "Example:\n"
    "  meshstep einsum 'A[I_X,J] * B[J_X,K_Y] -> C[I_X,K_Y]' --mesh=X=4,Y=4 \\\n"
    "    --dims=I=8192,J=8192,K=8192 --chip=tpu-v5p --cost=book --explain\n"
    "I_XY is the dimension I sharded over the mesh axes X and Y, {U_X} a sum over X that is still\n"
    "outstanding. Without --dims the answer is in formulas.";

// The value, or the end of the command with its error.
template <class T>
T OrFail(StatusOr<T> value) {
  if (!value.ok()) Fail(value.status());
  return *std::move(value);
}

// The cluster's or the chip's data file, or the rates given inline, or none.
std::optional<einsum::Hardware> HardwareOf(const Options& options, const einsum::MeshShape& mesh) {
  const std::string& name = options.chip.empty() ? mesh.chip : options.chip;
  const RateSet set = options.rates == "datasheet" ? RateSet::kDatasheet : RateSet::kBook;
  std::optional<einsum::Hardware> hardware;
  if (!options.cluster.empty()) {
    if (!options.chip.empty()) Fail(InvalidInput("--chip and --cluster: expected one of the two"));
    hardware = OrFail(LoadClusterHardware(options.cluster, mesh.Chips(), set));
  } else if (!name.empty()) {
    hardware = OrFail(LoadHardware(name, set));
  } else if (options.peak || options.hbm || options.link) {
    hardware.emplace();
    hardware->name = "the rates given";
    hardware->interconnect.kind = Interconnect::Kind::kTorus;
    hardware->interconnect.wraparound = Interconnect::Wraparound::kAlways;
  }
  if (!hardware) return hardware;
  for (const auto& [option, rate] :
       {std::pair("--peak", options.peak), std::pair("--hbm-bandwidth", options.hbm),
        std::pair("--link", options.link)}) {
    if (rate && !(*rate > 0 && std::isfinite(*rate))) {
      Fail(InvalidInput(std::string(option) + " is not a finite number above 0"));
    }
  }
  if (options.peak) hardware->matmul.fill(FlopsPerSecond(*options.peak));
  if (options.hbm) hardware->hbm_rate = BytesPerSecond(*options.hbm);
  if (options.link) hardware->link = BytesPerSecond(*options.link);
  return hardware;
}

Dtype DtypeOf(const std::string& option, const std::string& name) {
  const StatusOr<Dtype> dtype = einsum::ParseDtypeSpelling(name);
  if (!dtype.ok()) Fail(InvalidInput(option + " " + std::string(dtype.status().message())));
  return *dtype;
}

// "X,Y,Z", innermost first: every axis once.
std::vector<AxisId> OrderOf(const std::string& text, const einsum::MeshShape& mesh) {
  std::vector<AxisId> order;
  if (text.empty()) return order;
  const auto fail = [&] {
    std::string names;
    for (const std::string& name : mesh.Names()) names += (names.empty() ? "" : ",") + name;
    Fail(InvalidInput("--order: is \"" + text.substr(0, 60) +
                      "\", expected every axis of the mesh once, innermost first, as " + names));
  };
  std::stringstream list(text);
  for (std::string name; std::getline(list, name, ',');) {
    const AxisId axis = mesh.Find(name);
    if (axis < 0 || std::find(order.begin(), order.end(), axis) != order.end()) fail();
    order.push_back(axis);
  }
  if (order.size() != mesh.axes.size()) fail();
  return order;
}

// The expression itself, or what standard input holds for "-".
std::string ExpressionOf(const Options& options) {
  if (options.expression != "-") return options.expression;
  std::string text(kMaxInput, 0);
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::cin.gcount()));
  return text;
}

einsum::SolveOptions SolveOptionsOf(const Options& options, const einsum::MeshShape& mesh) {
  einsum::SolveOptions plan;
  plan.hardware = HardwareOf(options, mesh);
  const bool inline_rates = options.chip.empty() && options.cluster.empty() && mesh.chip.empty();
  plan.model = inline_rates ? CostModel::kBook : CostModel::kChip;
  if (!options.cost.empty()) plan.model = OrFail(einsum::ParseCostModel(options.cost));
  plan.hop_latency = options.latency;
  plan.dtype = DtypeOf("--dtype", options.dtype);
  if (!options.reduce_dtype.empty()) {
    plan.reduce_dtype = DtypeOf("--reduce-dtype", options.reduce_dtype);
  }
  plan.sequential = options.overlap == "sum";
  plan.pad = options.pad;
  plan.order = OrderOf(options.order, mesh);
  return plan;
}

// Sizes given on the command line join those of the expression. With some but not all sizes the one
// that is missing was forgotten; with none the answer is symbolic.
void AddSizes(const Options& options, einsum::Expression* expression) {
  std::string sizes;
  for (const std::string& some : options.dims) sizes += some + ",";
  for (const auto& [dim, size] : OrFail(einsum::ParseSizes(sizes))) {
    const auto [entry, added] = expression->sizes.emplace(dim, size);
    if (!added && entry->second != size) {
      Fail(
          InvalidInput("dim " + dim + " has two sizes, in the expression and in --dims; give one"));
    }
  }
  const std::vector<std::string> missing = einsum::MissingSizes(*expression);
  if (missing.empty() || expression->sizes.empty()) return;
  Fail(InvalidInput("dim " + missing[0] + " has no size; add " + missing[0] +
                    "=4096 to --dims, or leave all sizes out for an answer in formulas"));
}

void RunEinsum(const Options& options) {
  einsum::MeshShape mesh;
  if (!options.mesh.empty()) mesh = OrFail(einsum::ParseMeshShape(options.mesh));
  einsum::Expression expression = OrFail(einsum::ParseExpression(ExpressionOf(options), mesh));
  if (expression.mesh.chip.empty()) expression.mesh.chip = mesh.chip;
  AddSizes(options, &expression);
  const einsum::SolveOptions plan = SolveOptionsOf(options, expression.mesh);
  const einsum::Answer answer = OrFail(einsum::Solve(expression, plan));
  for (const std::string& warning : answer.warnings) {
    std::cerr << "meshstep: warning: " << warning << "\n";
  }
  if (options.format != OutputFormat::kText) {
    Print(Serialize(MakeEinsumReport(expression, plan, answer), options.format));
  } else if (options.explain) {
    const std::string derivation = EinsumDerivation(expression, plan, answer);
    Print(derivation + SymbolsOf(derivation));
  } else {
    Print(EinsumText(expression, plan, answer, options.top));
  }
}

void AddRateOptions(CLI::App* command, Options* options) {
  command->add_option("--chip", options->chip, "Chip, as tpu-v5p, v5e or h100-sxm");
  command->add_option("--cluster", options->cluster,
                      "Cluster, as dgx-h100: its chip, nodes and network, instead of --chip");
  command->add_option(
      "--order", options->order,
      "Axes innermost first, as Y,X: how chips fill nodes (default: last axis first)");
  command->add_option("--rates", options->rates, "The chip's book (default) or datasheet rates")
      ->check(CLI::IsMember({"book", "datasheet"}));
  command->add_option("--peak", options->peak, "FLOP/s of a chip, instead of the chip's");
  command->add_option("--hbm-bandwidth", options->hbm, "Bytes/s of HBM, instead of the chip's");
  command->add_option("--link", options->link,
                      "Bytes/s of one link one way, instead of the chip's");
  command->add_option("--latency", options->latency, "Seconds of one hop, instead of the model's")
      ->check([](const std::string& text) {
        char* end = nullptr;
        const bool fits = std::strtod(text.c_str(), &end) >= 0 && end != text.c_str();
        return fits ? "" : "is " + text + ", expected seconds of at least 0";
      });
}

}  // namespace

void AddEinsumCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "einsum", "Answer a mesh-sharding exercise: collectives, FLOPs, bytes, times, plans");
  command->footer(kFooter);
  command
      ->add_option("expression", options->expression,
                   "As 'A[I_X,J] * B[J,K_Y] -> C[I_X,K_Y]'; - reads standard input")
      ->required();
  command->add_option("--mesh", options->mesh, "Axes and sizes, as X=4,Y=8 or 4x8 or X=4x4,Y=8");
  command->add_option("--dims", options->dims, "Sizes, as I=8192,J=8*1024,K=2^13,L=8Ki")
      ->allow_extra_args(false);
  command->add_option("--dtype", options->dtype, "Of arrays without a prefix; default bf16");
  command->add_option("--reduce-dtype", options->reduce_dtype,
                      "In which partial sums are moved; default that of the array");
  AddRateOptions(command, options.get());
  command
      ->add_option("--cost", options->cost,
                   "chip (default with --chip: its wraparound and latency), book, ring, no-wrap")
      ->check(CLI::IsMember({"chip", "book", "ring", "no-wrap"}));
  command
      ->add_option("--overlap", options->overlap,
                   "Sort by the longer of compute and communication (max) or their sum (sum)")
      ->check(CLI::IsMember({"max", "sum"}));
  command->add_flag("--pad", options->pad, "Round dimensions up to what their axes divide");
  command->add_option("--top", options->top, "Plans to print as text; default 3")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--explain", options->explain, "Print the derivation step by step");
  AddFormatOption(command, &options->format);
  command->callback([options] { RunEinsum(*options); });
}

}  // namespace meshstep
