// The grid of what is varied, every point simulated.

#ifndef MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_H_
#define MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "meshstep/v1/scenario.pb.h"
#include "meshstep/v1/sweep_report.pb.h"
#include "sim/advice/sweep/vary.h"
#include "sim/base/status.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// Points of a grid: the product of the numbers of values. Error: more than kMaxGrid, or a field is
// varied twice, or two are the rest.
inline constexpr std::int64_t kMaxGrid = 100000;
StatusOr<std::int64_t> GridSize(std::span<const Vary> varied);

// Point `index` of the grid; the last field varies fastest. `set`, if not null, gets what was
// changed. Error: the degrees leave no rest.
StatusOr<v1::Scenario> GridPoint(const v1::Scenario& base, std::span<const Vary> varied,
                                 std::int64_t index, const Catalog& catalog,
                                 std::vector<std::string>* set);

struct SweepOptions {
  SimulateOptions simulate;  // with a catalog
  int threads = 0;           // 0: as many as the machine has
  // After each point, on the thread that simulated it, one at a time.
  std::function<void(const v1::SweepRow& row)> done = {};
};

// Points that cannot be simulated are rows with a reason. Error: GridSize's, or a bug.
StatusOr<v1::SweepReport> Sweep(const v1::Scenario& base, std::span<const Vary> varied,
                                const SweepOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_H_
