// meshstep model: parameters, FLOPs, activations and KV cache of a model.

#include "CLI/CLI.hpp"
#include "meshstep/v1/model_report.pb.h"
#include "sim/base/dtype.h"
#include "sim/cli/commands.h"
#include "sim/cli/model_input.h"
#include "sim/report/arithmetic/model_report.h"
#include "sim/report/arithmetic/terms.h"
#include "sim/report/numbers.h"

namespace meshstep {
namespace {

struct Options {
  ModelInput model;
  std::string sequence, batch;
  bool decode = false;
  std::string dtype = "bf16", weights, kv;
  std::string attention = "flash";
  bool dropout = false;
  double tensor = 1, pipeline = 1;
  bool sequence_parallel = false;
  bool explain = false;
  OutputFormat format = OutputFormat::kText;
};

double OrFail(const StatusOr<double>& value) {
  if (!value.ok()) Fail(value.status());
  return *value;
}

double ElementBytes(const std::string& option, const std::string& name) {
  const StatusOr<Dtype> dtype = ParseDtype(name);
  if (!dtype.ok()) Fail(InvalidInput(option + ": " + std::string(dtype.status().message())));
  return SizeOf(*dtype).value();
}

TokenShape ShapeOf(const Options& options, const Values& dims) {
  TokenShape shape;
  shape.batch = NumberOr(dims, "B", 1);
  shape.queries = NumberOr(dims, "T", NumberOr(dims, "S", 4096));
  shape.keys = NumberOr(dims, "S", shape.queries);
  if (!options.batch.empty()) shape.batch = OrFail(ReadCount("--batch", options.batch));
  if (!options.sequence.empty()) {
    shape.queries = shape.keys = OrFail(ReadCount("--seq", options.sequence));
  }
  if (options.decode) shape.queries = 1;
  if (shape.batch < 1 || shape.queries < 1 || shape.keys < shape.queries) {
    Fail(
        InvalidInput("--batch, --seq: expected at least one sequence of at least one position, and "
                     "no more new positions (T) than positions (S)"));
  }
  return shape;
}

void Run(const Options& options) {
  std::vector<std::string> letters = ModelLetters();
  letters.insert(letters.end(), {"B", "T", "S"});
  const StatusOr<Values> dims = ParseValues("--dims", options.model.dims, letters);
  if (!dims.ok()) Fail(dims.status());
  const StatusOr<Model> model = ReadModel(options.model, *dims);
  if (!model.ok()) Fail(model.status());
  ModelReportOptions report;
  report.transformer.unfused_attention = options.attention == "unfused";
  report.transformer.dropout = options.dropout;
  report.activation_bytes = ElementBytes("--dtype", options.dtype);
  report.weight_bytes =
      ElementBytes("--weights", options.weights.empty() ? options.dtype : options.weights);
  report.kv_bytes = ElementBytes("--kv", options.kv.empty() ? options.dtype : options.kv);
  report.sharding = {options.tensor, options.sequence_parallel};
  report.micro_batches_in_flight = options.pipeline;
  v1::ModelReport message = MakeModelReport(*model, ShapeOf(options, *dims), report);
  for (const std::string& assumed : AssumedOf(options.model, *dims)) message.add_assumed(assumed);
  if (options.sequence.empty() && !dims->contains("T") && !dims->contains("S")) {
    message.add_assumed("sequences of 4,096 positions, as --seq is not given");
  }
  Print(options.format == OutputFormat::kText ? ToText(message, options.explain)
                                              : Serialize(message, options.format));
}

}  // namespace

void AddModelCommand(CLI::App* app) {
  CLI::App* command = app->add_subcommand(
      "model", "Parameters, FLOPs, activations, KV cache and arithmetic intensity of a model");
  const auto options = std::make_shared<Options>();
  AddModelOptions(command, &options->model);
  command->add_option("--seq", options->sequence, "Positions of a sequence (default 4096)");
  command->add_option("--batch", options->batch, "Sequences (default 1)");
  command->add_flag("--decode", options->decode, "One new position per sequence; --seq are cached");
  command->add_option("--dtype", options->dtype, "Format of activations (default bf16)");
  command->add_option("--weights", options->weights, "Format of the weights (default --dtype)");
  command->add_option("--kv", options->kv, "Format of the KV cache (default --dtype)");
  command->add_option("--attention", options->attention, "flash (default) or unfused")
      ->check(CLI::IsMember({"flash", "unfused"}));
  command->add_flag("--dropout", options->dropout, "Dropout masks are kept");
  command->add_option("--tensor", options->tensor, "Tensor-parallel devices that share activations")
      ->check(CLI::Range(1.0, 1e6));
  command->add_flag("--sequence-parallel", options->sequence_parallel,
                    "The other activations are shared too");
  command->add_option("--pipeline", options->pipeline, "Micro-batches in flight on the first stage")
      ->check(CLI::Range(1.0, 1e6));
  command->add_flag("--explain", options->explain, "Say what each figure is, and print the rest");
  AddFormatOption(command, &options->format);
  command->footer(
      "Examples:\n"
      "  meshstep model llama-3-70b --seq=8192 --batch=4\n"
      "  meshstep model --dims=L=64,D=4096,F=16384,N=32,K=8,H=256,V=32128 --tied --kv=int8");
  command->callback([options] { Run(*options); });
}

}  // namespace meshstep
