// Named sets of sharding rules. Each file beside this one turns one degree of a plan into rules
// over the algebra of strategies/algebra/sharding.h; the lowering never asks for a parallelism by
// name.
//
//   FSDP over axis X: B is computed over X, parameters are stored over X along D
//     => In[B_X, D] · W[D_X, F]: the algebra gathers W before use and reduce-scatters dW.

#ifndef MESHSTEP_STRATEGIES_PLAN_PARALLELISMS_PARALLELISM_H_
#define MESHSTEP_STRATEGIES_PLAN_PARALLELISMS_PARALLELISM_H_

#include "strategies/plan/plan.h"

namespace meshstep {

// Replicas: the batch over `axis`; parameters whole on each. zero_stage 1 and 2 store the optimizer
// state over it (ZeRO, arXiv 1910.02054 §5).
void AddDataRules(AxisId axis, int zero_stage, Rules* rules);

// ZeRO-3 / FSDP: the batch over `axis`, parameters and all that follows them stored over it.
void AddFsdpRules(AxisId axis, Rules* rules);

// Megatron tensor parallelism (arXiv 1909.08053 §3): heads, MLP width and vocabulary over `axis`.
// sequence_parallel (arXiv 2205.05198 §4.2.2): the residual stream over it along the sequence.
void AddTensorRules(AxisId axis, bool sequence_parallel, Rules* rules);

// The ranks of a stage as routed experts see them; each list major first.
struct ExpertAxes {
  std::vector<AxisId> tensor, expert, data;
};

// Expert parallelism: experts over `expert`, the width of each over `tensor`, tokens where their
// experts are. Expert gradients are partial over `data`; parameters are stored over those of its
// axes that store the rest of the model (rules for D), and if there are any, over those that shard
// the rest of the model without being replicas (torchtitan: dp_shard · cp · tp = efsdp · ep), and
// so is the optimizer state. Also gives the shared experts the rules of F.
void AddExpertRules(const ExpertAxes& axes, Rules* rules);

// Latent and compressed attention, narrow tables: their widths are stored over the axes that store D,
// groups of heads where their heads are.
void AddLatentRules(Rules* rules);

// Mixers with a state: their heads and groups as those of attention.
void AddStateRules(Rules* rules);

// Context parallelism: the sequence over `axis` in every op, and outside them.
void AddContextRules(AxisId axis, Rules* rules);
// What FSDP and ZeRO store over their axes is stored over `axis` too, as torchtitan and Megatron
// do. Comes after the rules of those, so that `axis` is the minor one.
void AddContextStorageRules(AxisId axis, bool shards_parameters, int zero_stage, Rules* rules);

// Storage of parameters over `axis` along the first dimension that is there: D, else any.
void AddStorageRules(AxisId axis, std::vector<Rule>* rules);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_PARALLELISMS_PARALLELISM_H_
