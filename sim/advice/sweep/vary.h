// What a sweep varies: one field of the scenario and its values.
//
//   plan.tensor=1,2,4,8         these, in this order
//   cluster.chips=64..1024x2    64, 128, ... 1024
//   plan.prefetch_layers=0..4   0, 1, ... 4
//   workload.global_batch_sequences=512..2048+256    512, 768, ...
//   plan.fsdp=rest              what the other degrees leave of the cluster's devices
//   plan.recompute_modules=mlp;moe,mlp               lists, their elements separated by semicolons
// Values and ranges may be mixed: 1,2,8..64x2.

#ifndef MESHSTEP_SIM_ADVICE_SWEEP_VARY_H_
#define MESHSTEP_SIM_ADVICE_SWEEP_VARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"

namespace meshstep {

struct Vary {
  std::string path;
  std::vector<std::string> values;  // as --set takes them; of "rest" none
  bool rest = false;
};

// Error: no field of a scenario has this path, a value does not fit it, a range is empty or has
// more than kMaxValues values, or "rest" is asked of a field that is no degree.
inline constexpr std::size_t kMaxValues = 10000;
StatusOr<Vary> ParseVary(const std::string& text);

// The degree that makes data · fsdp · tensor · context · pipeline the number of devices, with
// `path` one of them. Error: the others do not divide the devices, or the cluster is not valid.
StatusOr<std::int64_t> RestOfDevices(const std::string& path, const v1::Scenario& scenario,
                                     const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SWEEP_VARY_H_
