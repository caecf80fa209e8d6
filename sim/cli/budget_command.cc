// meshstep budget: FLOPs, tokens, time, money and memory of a training run.

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/budget_report.pb.h"
#include "sim/cli/chip_input.h"
#include "sim/cli/commands.h"
#include "sim/cli/model_input.h"
#include "sim/cli/numeric_options.h"
#include "sim/report/arithmetic/budget_report.h"
#include "sim/report/arithmetic/terms.h"
#include "sim/report/numbers.h"
#include "strategies/model/model_arithmetic.h"
#include "strategies/plan/optimizers.h"

namespace meshstep {
namespace {

struct Options {
  ModelInput model;
  ChipInput chip;
  NumericOptions numbers;
  std::string dtype = "bf16", parameters = "bf16", gradients = "fp32", optimizer = "adam-fp32";
  std::string checkpoint;
  bool explain = false;
  OutputFormat format = OutputFormat::kText;
};

const NumericOption kNumbers[] = {
    {"params", "Parameters, instead of a model"},
    {"active", "Parameters that one token uses (default all)"},
    {"tokens", "Training tokens"},
    {"flops", "Training FLOPs"},
    {"tokens-per-parameter", "Compute-optimal ratio (default 20)"},
    {"inference-tokens", "Tokens that the model will serve"},
    {"chips", "Chips"},
    {"mfu", "Fraction of the peak, 0.4 for 40 %"},
    {"hours", "Chip-hours of the run"},
    {"days", "Days of the run"},
    {"price", "Dollars per chip-hour"},
    {"batch-tokens", "Tokens of one step"},
    {"seq", "Tokens of one sequence"},
    {"step-time", "Seconds of one step"},
    {"bytes-per-param", "Bytes of parameters, gradients and optimizer state per parameter"},
    {"layers", "Layers, for activations (default: the model's)"},
    {"model-parallel", "Chips that share one copy of the state"},
};

std::vector<std::string> OptimizerNames() {
  std::vector<std::string> names{"none"};
  for (const OptimizerKind& kind : Optimizers()) names.emplace_back(kind.name);
  return names;
}

// Bytes of state per parameter, master copy included; of matrices where they keep their own.
double OptimizerBytes(const std::string& name, double parameter_bytes) {
  const OptimizerKind* kind = FindOptimizer(name);
  if (kind == nullptr) return 0;  // "none"
  const bool matrices = kind->matrices != OptimizerKind::Matrices::kNone;
  return matrices ? kind->MatrixStateBytes(parameter_bytes) : kind->StateBytes(parameter_bytes);
}

double ElementBytes(const std::string& option, const std::string& name) {
  if (name == "none") return 0;
  const StatusOr<Dtype> dtype = ParseDtype(name);
  if (!dtype.ok()) Fail(InvalidInput(absl::StrCat(option, ": ", dtype.status().message())));
  return SizeOf(*dtype).value();
}

// "D,F,F" or "3xD" or "8192,27648": elements kept per token and layer.
double CheckpointElements(const std::string& text, const Values& dims) {
  double sum = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::string item = text.substr(at, comma - at);
    at = comma + 1;
    double times = 1;
    if (const std::size_t x = item.find('x'); x != std::string::npos && x > 0) {
      const StatusOr<double> count = ReadCount("--checkpoint", item.substr(0, x));
      if (!count.ok()) Fail(count.status());
      times = *count;
      item = item.substr(x + 1);
    }
    StatusOr<double> size = NumberOr(dims, item, 0);
    if (*size == 0) size = ReadCount("--checkpoint", item);
    if (!size.ok()) Fail(size.status());
    sum += times * *size;
  }
  return sum;
}

// What the model says where the options say nothing; returns what was taken for missing letters.
std::vector<std::string> AddModelNumbers(const Options& options, Values* dims, Values* numbers) {
  if (options.model.name.empty() && !(dims->contains("L") && dims->contains("D"))) return {};
  std::vector<std::string> assumed;
  const StatusOr<Model> model = ReadModel(options.model, *dims);
  if (!model.ok()) Fail(model.status());
  const ParameterCounts counts = ModelArithmetic(*model, {}).Parameters();
  if (!numbers->contains("params")) {
    assumed = AssumedOf(options.model, *dims);
    numbers->emplace("params", counts.total);
    numbers->emplace("active", counts.active);
  }
  numbers->emplace("layers", model->layers);
  dims->emplace("D", model->hidden);
  dims->emplace("F", model->ffn);
  return assumed;
}

void Run(const Options& options) {
  BudgetInput in;
  StatusOr<Values> numbers = options.numbers.Read();
  if (!numbers.ok()) Fail(numbers.status());
  StatusOr<Values> dims = ParseValues("--dims", options.model.dims, ModelLetters());
  if (!dims.ok()) Fail(dims.status());
  const std::vector<std::string> assumed = AddModelNumbers(options, &*dims, &*numbers);
  if (!numbers->contains("params") && !numbers->contains("flops") && !numbers->contains("hours") &&
      !numbers->contains("active")) {
    Fail(InvalidInput("budget: needs a model, --params, --flops or --hours"));
  }
  if (numbers->contains("mfu") && numbers->at("mfu") > 1) {
    Fail(InvalidInput("--mfu: is above 1, expected a fraction such as 0.4"));
  }
  in.numbers = *numbers;
  in.numbers["checkpoint"] = CheckpointElements(options.checkpoint, *dims);
  in.activation_bytes = ElementBytes("--dtype", options.dtype);
  in.parameter_bytes = ElementBytes("--parameters", options.parameters);
  in.gradient_bytes = ElementBytes("--gradients", options.gradients);
  in.optimizer_bytes = OptimizerBytes(options.optimizer, in.parameter_bytes);
  if (!options.chip.name.empty() || !options.chip.hw.empty()) {
    const StatusOr<Dtype> math = ParseDtype(options.dtype);
    if (!math.ok()) Fail(InvalidInput(absl::StrCat("--dtype: ", math.status().message())));
    const StatusOr<AskedChip> chip = ReadChip(options.chip, *math);
    if (!chip.ok()) Fail(chip.status());
    in.flops_per_s = chip->limits.flops_per_s;
    in.hbm_bytes = chip->limits.hbm_bytes;
    in.node_chips = chip->limits.domain_chips;
  }
  v1::BudgetReport report = MakeBudgetReport(in);
  for (const std::string& sentence : assumed) report.add_assumed(sentence);
  Print(options.format == OutputFormat::kText ? ToText(report, options.explain)
                                              : Serialize(report, options.format));
}

}  // namespace

void AddBudgetCommand(CLI::App* app) {
  CLI::App* command = app->add_subcommand(
      "budget",
      "Scaling laws, days of training, MFU from chip-hours, memory of the training state");
  const auto options = std::make_shared<Options>();
  AddModelOptions(command, &options->model);
  AddChipOptions(command, &options->chip);
  options->numbers.Add(command, kNumbers);
  command->add_option("--dtype", options->dtype, "Format of the FLOPs and activations (bf16)");
  command->add_option("--parameters", options->parameters, "Format of the parameters (bf16)");
  command->add_option("--gradients", options->gradients, "Format of the gradients (fp32), or none");
  command->add_option("--optimizer", options->optimizer, "State of the optimizer (adam-fp32)")
      ->check(CLI::IsMember(OptimizerNames()));
  command->add_option("--checkpoint", options->checkpoint,
                      "Elements kept per token and layer: D,F,F or 4xD or 8192");
  command->add_flag("--explain", options->explain, "Say what each figure is, and print the rest");
  AddFormatOption(command, &options->format);
  command->footer(
      "Examples:\n"
      "  meshstep budget --params=70B --tokens=15T --chip=h100-sxm --chips=4096 --mfu=0.45\n"
      "  meshstep budget --flops=5.76e23 --inference-tokens=2T\n"
      "  meshstep budget --params=37B --tokens=14.8T --hours=2.79e6 --hw=C=1.5e15");
  command->callback([options] { Run(*options); });
}

}  // namespace meshstep
