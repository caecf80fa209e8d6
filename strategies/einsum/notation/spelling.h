// How people spell number formats, sizes and collectives.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_SPELLING_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_SPELLING_H_

#include <map>
#include <string>

#include "sim/base/dtype.h"
#include "sim/base/status.h"

namespace meshstep::einsum {

// Lower case without hyphens: "All-Gather" is "allgather".
std::string Plain(const std::string& text);

// "bf16", and the spellings of frameworks: bfloat16, f32, float16, s8, f8e4m3fn, ...
StatusOr<Dtype> ParseDtypeSpelling(const std::string& name);

// "B=1024,D=4096", "B:8*1024 D:2^12". Error: which dimension, what was expected.
StatusOr<std::map<std::string, double>> ParseSizes(const std::string& text);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_SPELLING_H_
