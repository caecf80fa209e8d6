#include "strategies/model/op_role.h"

#include <cstddef>
#include <iterator>

namespace meshstep {
namespace {

constexpr char kProducts[] = "products";

// In the order of OpRole.
constexpr std::string_view kNames[] = {
    "rms-norm",
    "layer-norm",
    "qkv",
    "latent-down",
    "latent-up",
    "rotary",
    "head-norm",
    "head-norm-rotary",
    "latent-rotary",
    "attention",
    "attention-output",
    "attention-gating",
    "latent-join",
    "index-in",
    "index",
    "mixer-in",
    "mixer-low",
    "mixer-out",
    "mixer-activation",
    "convolution",
    "compress",
    "scan",
    "delta-rule",
    "lightning",
    "gated-norm",
    "mixer-add",
    "mlp-in",
    "mlp-out",
    "activation",
    "gated-activation",
    "router",
    "routing",
    "dispatch",
    "experts-in",
    "experts-out",
    "expert-latent",
    "expert-activation",
    "expert-gated-activation",
    "combine",
    "shared-gate",
    "shared-gating",
    "shared-add",
    "residual-add",
    "dropout-add",
    "dropout",
    "embedding",
    "position-embedding",
    "position-add",
    "embedding-projection",
    "concatenate",
    "stream-projection",
    "streams-in",
    "streams-out",
    "stream-weights",
    "stream-read",
    "stream-write",
    "logits",
    "loss",
    "gathered-parameter",
    "reduced-gradient",
    "gradients",
    "late-gradients",
    "zeroed-gradients",
    "sharded-transfer",
    "checkpoint",
    "action",
    "update",
};
static_assert(std::size(kNames) == static_cast<std::size_t>(OpRole::kUpdate) + 1);

}  // namespace

std::string_view NameOf(OpRole role) { return kNames[static_cast<std::size_t>(role)]; }

std::vector<OpRole> OpRolesNamed(std::string_view name) {
  if (name == kProducts) {
    return {OpRole::kQkv,
            OpRole::kLatentDown,
            OpRole::kLatentUp,
            OpRole::kIndexIn,
            OpRole::kMixerIn,
            OpRole::kMixerLow,
            OpRole::kMixerOut,
            OpRole::kMlpIn,
            OpRole::kMlpOut,
            OpRole::kExpertLatent,
            OpRole::kAttentionOutput,
            OpRole::kEmbeddingProjection,
            OpRole::kStreamProjection};
  }
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return {static_cast<OpRole>(i)};
  }
  return {};
}

std::vector<std::string> OpRoleNames() {
  std::vector<std::string> names = {kProducts};
  names.insert(names.end(), std::begin(kNames), std::end(kNames));
  return names;
}

bool HandsGradientOn(OpRole role) {
  return role == OpRole::kResidualAdd || role == OpRole::kSharedAdd ||
         role == OpRole::kPositionAdd || role == OpRole::kConcatenate || role == OpRole::kMixerAdd;
}

bool IsNorm(OpRole role) { return role == OpRole::kRmsNorm || role == OpRole::kLayerNorm; }

bool IsExpertActivation(OpRole role) {
  return role == OpRole::kExpertActivation || role == OpRole::kExpertGatedActivation;
}

}  // namespace meshstep
