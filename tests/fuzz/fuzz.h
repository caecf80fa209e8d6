// What fuzz targets share. A target is one call of the program on bytes; it aborts where what comes
// back breaks a promise that holds for every input.

#ifndef MESHSTEP_TESTS_FUZZ_FUZZ_H_
#define MESHSTEP_TESTS_FUZZ_FUZZ_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/base/check.h"
#include "sim/base/escape.h"
#include "sim/base/status.h"

namespace meshstep::fuzz {

inline std::string TextOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// An error of input is InvalidArgument with a message that is safe to print.
inline void CheckStatus(const Status& status) {
  if (status.ok()) return;
  CHECK(status.code() == absl::StatusCode::kInvalidArgument) << status.ToString();
  CHECK(!status.message().empty());
}

}  // namespace meshstep::fuzz

#endif  // MESHSTEP_TESTS_FUZZ_FUZZ_H_
