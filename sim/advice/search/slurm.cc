#include "sim/advice/search/slurm.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace meshstep {
namespace {

bool Number(const char* text, int* value) {
  return text != nullptr && absl::SimpleAtoi(text, value);
}

}  // namespace

Status ShardOfSlurm(const char* id, const char* least, const char* count, int* shard, int* shards) {
  int own = 0, first = 0;
  if (!Number(id, &own) || !Number(count, shards)) {
    return InvalidInput(
        "--shard: slurm needs SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT, which a job array "
        "sets");
  }
  Number(least, &first);
  *shard = own - first;
  if (*shard >= 0 && *shard < *shards) return absl::OkStatus();
  return InvalidInput(absl::StrCat("--shard: SLURM_ARRAY_TASK_ID is ", own, ", expected one of ",
                                   *shards, " from ", first, " on"));
}

std::string ShellQuoted(const std::string& word) {
  const bool plain = word.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_-./=,:+") == std::string::npos;
  if (plain && !word.empty()) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string SlurmScript(const std::string& command, int shards, const std::string& folder) {
  return absl::StrCat(
      "#!/bin/bash\n"
      "#SBATCH --job-name=meshstep-search\n"
      "#SBATCH --array=0-",
      shards - 1,
      "\n"
      "#SBATCH --ntasks=1\n"
      "#SBATCH --cpus-per-task=1\n"
      "#SBATCH --requeue\n"
      "#SBATCH --output=",
      folder,
      "-%a.log\n"
      "# One part of the search each; when all are done: meshstep merge ",
      ShellQuoted(folder), "\nexec ", command, " --shard=slurm --out=", ShellQuoted(folder),
      " --threads=\"${SLURM_CPUS_PER_TASK:-1}\"\n");
}

}  // namespace meshstep
