// A chip as asked for on the command line: --chip, --rates, and single rates with --hw.

#ifndef MESHSTEP_SIM_CLI_CHIP_INPUT_H_
#define MESHSTEP_SIM_CLI_CHIP_INPUT_H_

#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "strategies/bounds/chip_limits.h"

namespace CLI {
class App;
}

namespace meshstep {

struct ChipInput {
  std::string name;
  std::string rates = "book";
  std::vector<std::string> hw;
};

void AddChipOptions(CLI::App* command, ChipInput* input);

struct AskedChip {
  std::string name;
  ChipLimits limits;
  bool is_switch = false;
};

// `math` chooses the matmul peak; --hw goes before the chip's file. Without --chip only what --hw
// says is known. Error: unknown chip, letter or format.
StatusOr<AskedChip> ReadChip(const ChipInput& input, Dtype math);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_CHIP_INPUT_H_
