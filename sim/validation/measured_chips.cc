#include "sim/validation/measured_chips.h"

namespace meshstep {
namespace {

// Devices of collective_tables.csv and matmul_tables.csv (XLA target specs), hardware of
// collective_runs.csv, chips of matmul_runs.csv.
struct DeviceName {
  const char* name;
  const char* chip;
};
constexpr DeviceName kDevices[] = {
    {"sm_90", "h100-sxm"},
    {"sm_100_B200", "b200"},
    {"sm_100_GB200", "gb200"},
    {"sm_103", "gb300"},
    {"gfx950", "mi355x"},
    {"H100-80GB", "h100-sxm"},
    {"H200-141GB", "h200"},
    {"A100-80GB", "a100-80gb"},
    {"A100-40GB", "a100-40gb"},
    {"B200", "b200"},
    {"B300", "b300"},
    {"GB200", "gb200"},
    {"GB300", "gb300"},
    {"GH200", "gh200"},
    {"MI250X", "mi250x"},
    {"MI300X", "mi300x"},
    {"MI355X", "mi355x"},
    {"H800", "h800"},
    {"H100/H800 (SM90)", "h800"},
    {"B200 (SM100)", "b200"},
    {"A100-80GB pairwise NVLink", "a100-80gb"},
    {"H100-80GB pairwise NVLink", "h100-sxm"},
    {"NVIDIA H100 SXM", "h100-sxm"},
    {"NVIDIA H200 SXM", "h200"},
    {"NVIDIA A100 SXM", "a100-80gb"},
    {"NVIDIA B200 SXM", "b200"},
    {"NVIDIA B300 SXM", "b300"},
    {"NVIDIA GB200", "gb200"},
    {"AMD MI300X", "mi300x"},
    {"AMD MI355X", "mi355x"},
    {"Intel Gaudi 3", "gaudi3"},
    {"TPU v6e", "tpu-v6e"},
    {"TPU7x device (half chip)", "tpu-v7x"},
};

}  // namespace

std::string ChipOfDevice(const std::string& device) {
  for (const DeviceName& entry : kDevices) {
    if (device == entry.name) return entry.chip;
  }
  return "";
}

}  // namespace meshstep
