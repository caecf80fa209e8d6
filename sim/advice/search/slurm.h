// A search as a job array of Slurm: a script for sbatch, and which part an element of the array is.
// Source: Slurm 22.05, sbatch(1), "JOB ARRAYS" and "OUTPUT ENVIRONMENT VARIABLES".

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_SLURM_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_SLURM_H_

#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// The variables SLURM_ARRAY_TASK_ID, _MIN and _COUNT as they are set; null: they are not. Error:
// outside of an array.
Status ShardOfSlurm(const char* id, const char* least, const char* count, int* shard, int* shards);

// command: "meshstep search ..." without --shard; folder: of --out. Elements that were ended or
// requeued go on from their files.
std::string SlurmScript(const std::string& command, int shards, const std::string& folder);

// As a shell reads it back.
std::string ShellQuoted(const std::string& word);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_SLURM_H_
