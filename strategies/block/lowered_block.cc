#include "strategies/block/lowered_block.h"

namespace meshstep {

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kActivations:
      return "activations";
    case Role::kParameters:
      return "parameters";
    case Role::kGradients:
      return "gradients";
    case Role::kPipeline:
      return "activations between stages";
    case Role::kToHost:
      return "to the host";
    case Role::kFromHost:
      return "from the host";
  }
  return "";
}

int TransferTable::Intern(const TransferSpec& spec) {
  const auto [it, added] = index_.emplace(spec, size());
  if (added) specs_.push_back(spec);
  return it->second;
}

}  // namespace meshstep
