#include "strategies/passes/recompute.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/plan/recompute_modules.h"

namespace meshstep {
namespace {

bool IsIn(const Op& op, const RecomputeModule& module) {
  return std::any_of(module.ops.begin(), module.ops.end(), [&](std::string_view name) {
    return name.ends_with('*') ? op.name.starts_with(name.substr(0, name.size() - 1))
                               : op.name == name;
  });
}

bool Has(const Block& block, std::string_view name) {
  return std::any_of(block.ops.begin(), block.ops.end(),
                     [&](const Op& op) { return op.name == name; });
}

// Or there is none to have.
bool HasOneOf(const Block& block, const std::vector<std::string_view>& names) {
  return names.empty() ||
         std::ranges::any_of(names, [&](std::string_view name) { return Has(block, name); });
}

// Leaves the ops that make something that backward saves or that one of them reads.
void DropUnread(const Block& block, std::set<std::size_t>* again) {
  std::set<ArrayId> read;
  for (const Op& op : block.ops) read.insert(op.saved.begin(), op.saved.end());
  for (std::size_t i = block.ops.size(); i-- > 0;) {
    const Op& op = block.ops[i];
    if (!again->contains(i)) continue;
    const bool used = std::any_of(op.outputs.begin(), op.outputs.end(),
                                  [&](ArrayId array) { return read.contains(array); });
    if (used) {
      read.insert(op.inputs.begin(), op.inputs.end());
    } else {
      again->erase(i);
    }
  }
}

// torchtitan parallelize_llama.py _apply_ac_to_transformer_block: of the matmuls, counted as they
// run, every second runs again; the results of the others, of flash attention and of sums over
// tensor ranks are kept. A product that only goes into such a sum then need not run again.
Again RunsAlternately(const Block& block, const Plan& plan) {
  Again again;
  int products = 0;
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    const Op& op = block.ops[i];
    const bool keeps = std::find(plan.recompute_keep.begin(), plan.recompute_keep.end(), op.name) !=
                       plan.recompute_keep.end();
    const bool product = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kExperts;
    for (const ArrayId output : op.outputs) {
      bool kept = keeps || (op.kind == Op::Kind::kAttention && !op.selective);
      if (product) {
        const Array& array = block.arrays[static_cast<std::size_t>(output)];
        const bool summed =
            array.place == Place::kResidual &&
            !(Apply(plan.rules.residual, array.dims) == Apply(plan.rules.compute, array.dims));
        kept = kept || ++products % 2 == 1 || summed;
      }
      if (kept) continue;
      again.ops.insert(i);
      again.arrays.insert(output);
    }
  }
  return again;
}

}  // namespace

Again RunsAgain(const Block& block, Recompute policy, const Plan& plan) {
  const std::vector<std::string>& modules = plan.recompute_modules;
  const auto in_modules = [&](const Op& op) {
    return std::any_of(Modules().begin(), Modules().end(), [&](const RecomputeModule& module) {
      return std::find(modules.begin(), modules.end(), module.name) != modules.end() &&
             IsIn(op, module) && HasOneOf(block, module.only_with);
    });
  };
  Again again;
  if (block.input < 0 || block.output < 0) return again;
  if (policy == Recompute::kAlternate) return RunsAlternately(block, plan);
  const std::vector<std::string>& keep = plan.recompute_keep;
  for (std::size_t i = 0; i < block.ops.size(); ++i) {
    const Op& op = block.ops[i];
    const bool runs = policy == Recompute::kFull ||
                      (policy == Recompute::kMatmuls && !op.big_matmul) ||
                      (policy == Recompute::kSelective && op.selective) ||
                      (policy == Recompute::kModules && in_modules(op));
    if (runs && std::find(keep.begin(), keep.end(), op.name) == keep.end()) again.ops.insert(i);
  }
  if (plan.recompute_drops_unread) DropUnread(block, &again.ops);
  for (const std::size_t i : again.ops) {
    const Op& op = block.ops[i];
    // "selective" keeps the attention's output, which the projection after it saves.
    const std::ptrdiff_t first = policy == Recompute::kSelective ? 1 : 0;
    again.arrays.insert(op.outputs.begin() + first, op.outputs.end());
  }
  return again;
}

}  // namespace meshstep
