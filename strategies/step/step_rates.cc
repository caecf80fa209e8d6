#include "strategies/step/step_rates.h"

#include <string>
#include <utility>
#include <vector>

#include "strategies/step/stragglers.h"

namespace meshstep {
namespace {

// `chip` with the measurements of the attention kernel of that name, if there are any.
Chip WithKernel(Chip chip, const std::string& kernel) {
  const auto blocks = chip.calibration.blocks_by_kernel.find(kernel);
  if (blocks != chip.calibration.blocks_by_kernel.end()) {
    chip.calibration.attention_blocks = blocks->second;
    return chip;
  }
  const auto it = chip.calibration.attention_by_kernel.find(kernel);
  if (it != chip.calibration.attention_by_kernel.end()) {
    chip.calibration.attention = std::vector<AttentionCalibration>(it->second);
    chip.calibration.attention_blocks.reset();
    chip.calibration.attention_tiles.reset();
    const auto tiles = chip.calibration.tiles_by_kernel.find(kernel);
    if (tiles != chip.calibration.tiles_by_kernel.end()) {
      chip.calibration.attention_tiles = tiles->second;
    }
  }
  return chip;
}

}  // namespace

StepRates RatesOf(const Scenario& scenario, Fidelity fidelity) {
  const Chip& chip = scenario.cluster.chip;
  const Plan& plan = scenario.plan;
  const Kernels& kernels = plan.kernels;
  const bool real = fidelity == Fidelity::kCalibrated;
  StepRates rates{
      .compute = ComputeModel(WithKernel(chip, plan.flash_kernel), RateSet::kDatasheet, fidelity)};
  if (real && plan.collectives_take_units && chip.compute_units > 0) {
    rates.taken_by_collectives =
        static_cast<std::int32_t>(1e6 * chip.calibration.collective_units / chip.compute_units);
  }
  if (real && plan.stragglers) {
    rates.slowest_chip =
        SlowestOf(static_cast<double>(scenario.cluster.chips), chip.calibration.speed_spread);
  }
  const double share = 1.0 / chip.devices_per_chip;
  rates.host_link = chip.datasheet.host * (real ? share * chip.calibration.host_fraction : share);
  if (real && kernels.launches != Kernels::Launches::kNone) {
    rates.host_dispatch = kernels.host_dispatch_ns ? Seconds(*kernels.host_dispatch_ns * 1e-9)
                                                   : chip.calibration.host_dispatch;
  }
  return rates;
}

}  // namespace meshstep
