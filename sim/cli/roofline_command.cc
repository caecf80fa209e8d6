// meshstep roofline: what binds one chip, one matmul, one attention, a training plan or serving.

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "meshstep/v1/roofline_report.pb.h"
#include "sim/cli/chip_input.h"
#include "sim/cli/commands.h"
#include "sim/cli/model_input.h"
#include "sim/cli/numeric_options.h"
#include "sim/report/arithmetic/roofline_report.h"
#include "sim/report/arithmetic/terms.h"

namespace meshstep {
namespace {

struct Options {
  std::string kind, model;
  ModelInput dims;
  ChipInput chip;
  NumericOptions numbers;
  std::string dtype = "bf16", weights, math, kv, memory = "hbm";
  bool explain = false;
  OutputFormat format = OutputFormat::kText;
};

const NumericOption kNumbers[] = {
    {"chips", "Chips that share the work"},
    {"flops", "Chip: FLOPs to do"},
    {"bytes", "Chip: bytes to stream"},
    {"price", "Chip: dollars per hour"},
    {"units", "Chip: vector or matrix units"},
    {"lanes", "Chip: lanes of a unit"},
    {"flops-per-lane", "Chip: FLOPs of a lane and cycle (default 1)"},
    {"clock", "Chip: Hz"},
    {"vector-flops", "Chip: FLOP/s, for the clock"},
    {"nodes-per-replica", "Training: nodes that one replica of the model spans"},
    {"stages", "Training: pipeline stages"},
    {"micro-batches", "Training: micro-batches of a step"},
    {"params", "Inference: parameters, instead of a model"},
    {"active", "Inference: parameters that one token uses"},
    {"kv-per-token", "Inference: bytes of keys and values per position"},
    {"kv-per-sequence", "Inference: bytes of keys and values per sequence"},
    {"steps", "Inference: tokens that a request decodes"},
    {"latency", "Inference: seconds that a step may take"},
    {"mfu", "Inference: fraction of the peak that prefill reaches (default 1)"},
    {"prefill-time", "Inference: seconds of a prefill, instead of worked out"},
    {"step-time", "Inference: seconds of a step, instead of worked out"},
    {"beta", "Inference: HBM rate over link rate, instead of the chip's"},
};

Dtype FormatOf(const std::string& option, const std::string& name) {
  const StatusOr<Dtype> dtype = ParseDtype(name);
  if (!dtype.ok()) Fail(InvalidInput(absl::StrCat(option, ": ", dtype.status().message())));
  return *dtype;
}

RooflineInput Read(const Options& options) {
  RooflineInput in;
  const Dtype dtype = FormatOf("--dtype", options.dtype);
  const auto bytes = [&](const char* option, const std::string& name) {
    return SizeOf(name.empty() ? dtype : FormatOf(option, name)).value();
  };
  in.activation_bytes = SizeOf(dtype).value();
  in.weight_bytes = bytes("--weights", options.weights);
  in.kv_bytes = bytes("--kv", options.kv);
  const Dtype math = options.math.empty() ? dtype : FormatOf("--math", options.math);
  StatusOr<AskedChip> chip = ReadChip(options.chip, math);
  if (!chip.ok()) Fail(chip.status());
  in.chip_name = chip->name;
  in.chip = chip->limits;
  in.is_switch = chip->is_switch;
  in.memory_bytes_per_s = options.memory == "host"   ? in.chip.host_bytes_per_s
                          : options.memory == "vmem" ? in.chip.vmem_bytes_per_s()
                                                     : in.chip.hbm_bytes_per_s;
  std::vector<std::string> letters = ModelLetters();
  letters.insert(letters.end(), {"B", "T", "S", "G", "X", "Y", "Z", "Mx", "My"});
  StatusOr<Values> dims = ParseValues("--dims", options.dims.dims, letters);
  if (!dims.ok()) Fail(dims.status());
  in.dims = *dims;
  StatusOr<Values> numbers = options.numbers.Read();
  if (!numbers.ok()) Fail(numbers.status());
  in.numbers = *numbers;
  if (!options.dims.name.empty() || (options.kind == "inference" && dims->contains("L"))) {
    // Letters of a plan that are not the model's stay out of it.
    const StatusOr<Model> model = ReadModel(options.dims, *dims);
    if (!model.ok()) Fail(model.status());
    in.model = *model;
    in.dims.emplace("D", model->hidden);
    in.dims.emplace("F", model->moe ? model->moe->expert_ffn : model->ffn);
    if (options.kind == "attention") {
      in.dims.emplace("N", model->heads);
      in.dims.emplace("K", model->kv_heads);
      in.dims.emplace("H", model->head_dim);
    }
  }
  return in;
}

void Run(const Options& options) {
  const RooflineInput in = Read(options);
  const auto ask = options.kind == "chip"        ? ChipQuestion
                   : options.kind == "matmul"    ? MatmulQuestion
                   : options.kind == "attention" ? AttentionQuestion
                   : options.kind == "training"  ? TrainingQuestion
                                                 : InferenceQuestion;
  if (in.chip.flops_per_s <= 0) {
    Fail(InvalidInput(
        "--chip: is not given, expected a name of `meshstep list chips`, or --hw=C=..."));
  }
  const StatusOr<v1::RooflineReport> report = ask(in);
  if (!report.ok()) Fail(report.status());
  Print(options.format == OutputFormat::kText ? ToText(*report, options.explain)
                                              : Serialize(*report, options.format));
}

}  // namespace

void AddRooflineCommand(CLI::App* app) {
  CLI::App* command = app->add_subcommand(
      "roofline", "What binds a chip, a matmul, attention, a training plan, or serving");
  const auto options = std::make_shared<Options>();
  command->add_option("kind", options->kind, "Chip, matmul, attention, training or inference")
      ->required()
      ->check(CLI::IsMember({"chip", "matmul", "attention", "training", "inference"}));
  AddModelOptions(command, &options->dims);
  AddChipOptions(command, &options->chip);
  command->add_option("--dtype", options->dtype, "Format of activations (default bf16)");
  command->add_option("--weights", options->weights, "Format of the weights (default --dtype)");
  command->add_option("--math", options->math, "Format of the FLOPs (default --dtype)");
  command->add_option("--kv", options->kv, "Format of the KV cache (default --dtype)");
  command->add_option("--memory", options->memory, "Where operands are: hbm (default), vmem, host")
      ->check(CLI::IsMember({"hbm", "vmem", "host"}));
  options->numbers.Add(command, kNumbers);
  command->add_flag("--explain", options->explain, "Say what each figure is, and print the rest");
  AddFormatOption(command, &options->format);
  command->footer(
      "Letters of --dims besides the model's: B tokens or sequences, T queries, S keys, G query "
      "heads "
      "per KV head, X data or FSDP ways, Y tensor ways, Z expert shards, Mx and My mesh axes of "
      "each.\n"
      "Examples:\n"
      "  meshstep roofline chip --chip=tpu-v5p\n"
      "  meshstep roofline matmul --chip=tpu-v5e --weights=int8 --dims=B=64,D=4096,F=16384\n"
      "  meshstep roofline training --chip=tpu-v5p --dims=B=4Mi,D=8192,F=28672,X=2048,Y=4\n"
      "  meshstep roofline inference llama-3-70b --chip=tpu-v5e --chips=16 --dims=B=32,S=8192");
  command->callback([options] { Run(*options); });
}

}  // namespace meshstep
