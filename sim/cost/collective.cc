#include "sim/cost/collective.h"

#include <array>
#include <string>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

struct CollectiveName {
  Collective collective;
  std::string_view name;
};
constexpr std::array<CollectiveName, 8> kNames = {{
    {Collective::kAllGather, "all-gather"},
    {Collective::kReduceScatter, "reduce-scatter"},
    {Collective::kAllReduce, "all-reduce"},
    {Collective::kAllToAll, "all-to-all"},
    {Collective::kBroadcast, "broadcast"},
    {Collective::kReduce, "reduce"},
    {Collective::kPermute, "permute"},
    {Collective::kExchange, "exchange"},
}};

}  // namespace

std::string_view NameOf(Collective collective) {
  return kNames[static_cast<std::size_t>(collective)].name;
}

StatusOr<Collective> ParseCollective(std::string_view name) {
  std::string known;
  for (const CollectiveName& entry : kNames) {
    if (entry.name == name) return entry.collective;
    absl::StrAppend(&known, known.empty() ? "" : ", ", std::string(entry.name));
  }
  return InvalidInput(
      absl::StrCat("collective: is \"", std::string(name), "\", expected one of ", known));
}

Bytes ChunkBytes(Collective collective, Bytes bytes, int ranks) {
  if (collective == Collective::kBroadcast || collective == Collective::kPermute ||
      collective == Collective::kExchange) {
    return bytes;
  }
  return bytes / ranks;
}

}  // namespace meshstep
