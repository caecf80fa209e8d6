#include "sim/base/dtype.h"

#include <array>

namespace meshstep {
namespace {

struct Entry {
  std::string_view name;
  double bytes;
};
constexpr std::array<Entry, kDtypes> kEntries = {{{"fp32", kFp32Bytes},
                                                  {"tf32", kFp32Bytes},
                                                  {"bf16", 2},
                                                  {"fp16", 2},
                                                  {"fp8", 1},
                                                  {"int8", 1},
                                                  {"int4", 0.5},
                                                  {"fp4", 0.5}}};

const Entry& EntryOf(Dtype dtype) { return kEntries[static_cast<std::size_t>(dtype)]; }

}  // namespace

Bytes SizeOf(Dtype dtype) { return Bytes(EntryOf(dtype).bytes); }

std::string_view NameOf(Dtype dtype) { return EntryOf(dtype).name; }

StatusOr<Dtype> ParseDtype(std::string_view name) {
  std::string known;
  for (std::size_t i = 0; i < kEntries.size(); ++i) {
    if (kEntries[i].name == name) return static_cast<Dtype>(i);
    known += (known.empty() ? "" : ", ") + std::string(kEntries[i].name);
  }
  return InvalidInput("is \"" + std::string(name) + "\", expected one of " + known);
}

}  // namespace meshstep
