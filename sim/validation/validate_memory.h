// Measured memory against the simulated peak.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_

#include <string>

#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/status.h"
#include "sim/validation/validate_runs.h"

namespace meshstep {

// Reads a table of one of three kinds:
//  - memory_runs.csv: Megatron-LM's own tests with their arguments and mem_max_allocated_bytes,
//  what
//    PyTorch's allocator handed out at most on the last rank: tensors, rounded up to 512 bytes, but
//    neither the allocator's cache, nor the context of the driver, nor NCCL's buffers. The last
//    rank is of the last pipeline stage, so that stage's peak is compared.
//  - training_runs.csv: rows with mem_gib; mem_kind says what was measured, and is part of the
//    family's name. "reserved" and "nvidia-smi" count the allocator's cache too, and more.
//  - memory_published.csv: parts of the memory of the models of arXiv 2205.05198 (figure 1).
// Rows that cannot be expressed get a reason. Error: the file cannot be read or lacks columns.
StatusOr<v1::ValidateReport> ValidateMemory(const std::string& path, const RunOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_
