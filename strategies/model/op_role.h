// What an op of a block is to those that run it: the name by which a framework's kernel table
// (proto/meshstep/v1/framework.proto) speaks of it. The role is set where the op is built; nothing is
// guessed from its name or the number of its operands.

#ifndef MESHSTEP_STRATEGIES_MODEL_OP_ROLE_H_
#define MESHSTEP_STRATEGIES_MODEL_OP_ROLE_H_

#include <string>
#include <string_view>
#include <vector>

namespace meshstep {

enum class OpRole {
  kRmsNorm,
  kLayerNorm,
  // Attention. Queries, keys and values as one product of one input; into latents, and out of them.
  kQkv,
  kLatentDown,
  kLatentUp,
  kRotary,          // of queries and keys
  kHeadNorm,        // a norm of each head of queries and keys
  kHeadNormRotary,  // both, as one op
  kLatentRotary,    // of latent attention: one rotary key is joined to the keys of all heads
  kAttention,
  kAttentionOutput,
  kAttentionGating,  // a gate of the output, times it
  kLatentJoin,       // of the compressed vector and the rotary part of sparse attention
  kIndexIn,          // an indexer's queries; its keys and weights
  kIndex,            // scores and choice
  // Mixers with a state, and what stands around them.
  kMixerIn,
  kMixerLow,  // to and from low ranks
  kMixerOut,
  kMixerActivation,
  kConvolution,
  kCompress,   // of keys, to entries of several positions
  kScan,       // of Mamba, in chunks
  kDeltaRule,  // of gated delta nets, in chunks
  kLightning,  // of linear attention, in blocks
  kGatedNorm,
  kMixerAdd,  // two mixers side by side
  // MLPs, of every token: dense ones and shared experts.
  kMlpIn,
  kMlpOut,
  kActivation,
  kGatedActivation,
  // Routed experts.
  kRouter,
  kRouting,  // scores to the experts of each token and their weights
  kDispatch,
  kExpertsIn,
  kExpertsOut,
  kExpertLatent,  // between the stream and the narrower width of experts
  kExpertActivation,
  kExpertGatedActivation,
  kCombine,
  kSharedGate,    // a weight for the shared experts of each token
  kSharedGating,  // that times what they made
  kSharedAdd,     // that to what the routed ones made
  kResidualAdd,
  kDropoutAdd,  // dropout of a branch, and its sum with the stream
  kDropout,
  kEmbedding,
  kPositionEmbedding,
  kPositionAdd,
  kEmbeddingProjection,  // between the table's width and the stream's
  kConcatenate,          // of two streams (multi-token prediction)
  kStreamProjection,     // of both back to one
  // Several residual streams: one made several, their sum; their weights, one read, all written.
  kStreamsIn,
  kStreamsOut,
  kStreamWeights,
  kStreamRead,
  kStreamWrite,
  kLogits,
  kLoss,
  // Not ops of a block: what frameworks run around them.
  kGatheredParameter,  // as it arrives
  kReducedGradient,    // before it leaves
  kGradients,          // all that a device keeps, once a step, before they are reduced
  kLateGradients,      // of those, what leaves once a step
  kZeroedGradients,    // all that a device keeps, before the first micro-batch
  kShardedTransfer,    // a collective of sharded parameters or their gradients
  kCheckpoint,         // a block that runs again
  kAction,             // a forward or backward of one micro-batch
  kUpdate,             // of the optimizer
};

// As kernel tables write it: "rms-norm".
std::string_view NameOf(OpRole role);
// Of a role, or "products" for every linear layer of the stream but the router's and the head's;
// empty: there is no such name.
std::vector<OpRole> OpRolesNamed(std::string_view name);
// "products", then in the order of the enumeration.
std::vector<std::string> OpRoleNames();

// The op adds or joins its inputs: their gradients are (parts of) that of its result, by no kernel.
bool HandsGradientOn(OpRole role);
bool IsNorm(OpRole role);
// Of routed experts, gated or not.
bool IsExpertActivation(OpRole role);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_OP_ROLE_H_
