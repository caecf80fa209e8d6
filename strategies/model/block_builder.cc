#include "strategies/model/block_builder.h"

#include <algorithm>

namespace meshstep {
namespace {

// Arithmetic per element on the vector unit: mean of squares, scale; LayerNorm also centres and
// adds.
constexpr double kRmsNormFlops = 4;
constexpr double kLayerNormFlops = 7;

}  // namespace

ArrayId BlockBuilder::Add(Array array) {
  const bool has_hidden = std::find(array.dims.begin(), array.dims.end(), "D") != array.dims.end();
  if (!array.parameter && has_hidden) array.place = Place::kResidual;
  if (routed_) array.place = Place::kRouted;
  block_.arrays.push_back(std::move(array));
  return static_cast<ArrayId>(block_.arrays.size()) - 1;
}

ArrayId BlockBuilder::Activation(const std::string& name, const Dims& dims, double element_bytes) {
  Array array;
  array.name = name;
  array.dims = dims;
  array.element_bytes = element_bytes;
  return Add(std::move(array));
}

ArrayId BlockBuilder::Stream(const std::string& name, const Dims& dims, double element_bytes) {
  const ArrayId array = Activation(name, dims, element_bytes);
  SetPlace(array, Place::kResidual);
  return array;
}

ArrayId BlockBuilder::Parameter(const ParameterSpec& spec) {
  Array array;
  array.name = spec.name;
  array.dims = spec.dims;
  array.parameter = true;
  return Add(std::move(array));
}

Op& BlockBuilder::Other(Op::Kind kind, OpRole role, const std::string& name,
                        const std::vector<ArrayId>& inputs, const std::vector<ArrayId>& outputs) {
  Op op;
  op.kind = kind;
  op.role = role;
  op.part = part_;
  op.sublayer = sublayer_;
  op.name = name;
  op.inputs = inputs;
  op.outputs = outputs;
  block_.ops.push_back(std::move(op));
  return block_.ops.back();
}

Op& BlockBuilder::Matmul(OpRole role, const std::string& name, ArrayId input,
                         const std::vector<ParameterSpec>& weights,
                         const std::vector<ArrayId>& outputs,
                         const std::vector<ParameterSpec>& biases) {
  std::vector<ArrayId> weight_ids, bias_ids;
  for (const ParameterSpec& spec : weights) weight_ids.push_back(Parameter(spec));
  for (const ParameterSpec& spec : biases) bias_ids.push_back(Parameter(spec));
  Op& op = Other(Op::Kind::kMatmul, role, name, {input}, outputs);
  op.weights = std::move(weight_ids);
  op.biases = std::move(bias_ids);
  op.saved = {input};
  return op;
}

Op& BlockBuilder::Elementwise(OpRole role, const std::string& name,
                              const std::vector<ArrayId>& inputs,
                              const std::vector<ArrayId>& outputs, double flops_per_element) {
  Op& op = Other(Op::Kind::kElementwise, role, name, inputs, outputs);
  op.flops_per_element = flops_per_element;
  return op;
}

ArrayId BlockBuilder::Norm(const std::string& name, ArrayId input, bool bias) {
  const Dims dims = DimsOf(input);
  const ArrayId output = Activation(name, dims);
  SetPlace(output, block_.arrays[static_cast<std::size_t>(input)].place);
  std::vector<ArrayId> weights = {Parameter({name + "_scale", {dims.back()}})};
  if (bias) weights.push_back(Parameter({name + "_bias", {dims.back()}}));
  Op& op = Elementwise(bias ? OpRole::kLayerNorm : OpRole::kRmsNorm, name, {input}, {output},
                       bias ? kLayerNormFlops : kRmsNormFlops);
  op.part = Op::Part::kNorm;
  op.weights = std::move(weights);
  op.saved = {input};
  return output;
}

}  // namespace meshstep
