// Writes down the arrays and ops of a block (strategies/model/model.h) one after another.
//
//   BlockBuilder b("dense");
//   const ArrayId x = b.Activation("x", {"B", "T", "D"});
//   b.Matmul(OpRole::kMlpIn, "mlp_in", x, {{"W_in", {"D", "F"}}}, {b.Activation("h", {"B", "T", "F"})});

#ifndef MESHSTEP_STRATEGIES_MODEL_BLOCK_BUILDER_H_
#define MESHSTEP_STRATEGIES_MODEL_BLOCK_BUILDER_H_

#include <string>
#include <utility>
#include <vector>

#include "strategies/model/model.h"

namespace meshstep {

using Dims = std::vector<std::string>;

// The residual stream.
inline const Dims kTokens = {"B", "T", "D"};

struct ParameterSpec {
  std::string name;
  Dims dims;
};

class BlockBuilder {
 public:
  explicit BlockBuilder(std::string name) { block_.name = std::move(name); }

  // Of the ops added from now on (norms are their own part).
  void SetPart(Op::Part part) { part_ = part; }
  void SetSublayer(Op::Sublayer sublayer) { sublayer_ = sublayer; }

  // element_bytes 0: the compute type's.
  ArrayId Activation(const std::string& name, const Dims& dims, double element_bytes = 0);
  // An activation that is sharded as the residual stream is, without D: it is made from each rank's
  // own positions.
  ArrayId Stream(const std::string& name, const Dims& dims, double element_bytes = 0);
  ArrayId Parameter(const ParameterSpec& spec);

  // outputs[i] = input · weights[i] (+ biases[i]); saves its input. Returns the op to add to it.
  Op& Matmul(OpRole role, const std::string& name, ArrayId input,
             const std::vector<ParameterSpec>& weights, const std::vector<ArrayId>& outputs,
             const std::vector<ParameterSpec>& biases = {});
  Op& Elementwise(OpRole role, const std::string& name, const std::vector<ArrayId>& inputs,
                  const std::vector<ArrayId>& outputs, double flops_per_element);
  Op& Other(Op::Kind kind, OpRole role, const std::string& name, const std::vector<ArrayId>& inputs,
            const std::vector<ArrayId>& outputs);

  // RMSNorm or LayerNorm over the last dimension of `input`; saves its input.
  ArrayId Norm(const std::string& name, ArrayId input, bool bias);

  const Dims& DimsOf(ArrayId array) const {
    return block_.arrays[static_cast<std::size_t>(array)].dims;
  }
  const std::string& NameOf(ArrayId array) const {
    return block_.arrays[static_cast<std::size_t>(array)].name;
  }
  void SetShared(ArrayId array) { block_.arrays[static_cast<std::size_t>(array)].shared = true; }
  // Instead of the default: the residual stream's for activations with D, else that of einsums.
  void SetPlace(ArrayId array, Place place) {
    block_.arrays[static_cast<std::size_t>(array)].place = place;
  }
  // Arrays added from now on are on the ranks of experts.
  void SetRouted(bool routed) { routed_ = routed; }
  void SetEnds(ArrayId input, ArrayId output) {
    block_.input = input;
    block_.output = output;
  }
  Block Take() { return std::move(block_); }

 private:
  ArrayId Add(Array array);

  Block block_;
  Op::Part part_ = Op::Part::kResidual;
  Op::Sublayer sublayer_ = Op::Sublayer::kNone;
  bool routed_ = false;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_BLOCK_BUILDER_H_
