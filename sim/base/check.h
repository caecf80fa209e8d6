// CHECK macros for broken invariants inside the program: print both values and abort. Bad input is
// never a CHECK; it is a Status at the border (sim/base/status.h).

#ifndef MESHSTEP_SIM_BASE_CHECK_H_
#define MESHSTEP_SIM_BASE_CHECK_H_

#include <cstdlib>
#include <iostream>
#include <sstream>

namespace meshstep::internal {

// Collects a message with << and aborts when the full expression ends.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition) {
    stream_ << file << ":" << line << ": CHECK failed: " << condition << " ";
  }
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure() {
    std::cerr << stream_.str() << std::endl;
    std::abort();
  }
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

}  // namespace meshstep::internal

#define CHECK(condition) \
  switch (0)             \
  case 0:                \
  default:               \
    if (condition)       \
      ;                  \
    else                 \
      ::meshstep::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()

#define MESHSTEP_CHECK_OP(op, a, b) CHECK((a)op(b)) << "(" << (a) << " vs " << (b) << ") "
#define CHECK_EQ(a, b) MESHSTEP_CHECK_OP(==, a, b)
#define CHECK_NE(a, b) MESHSTEP_CHECK_OP(!=, a, b)
#define CHECK_LE(a, b) MESHSTEP_CHECK_OP(<=, a, b)
#define CHECK_LT(a, b) MESHSTEP_CHECK_OP(<, a, b)
#define CHECK_GE(a, b) MESHSTEP_CHECK_OP(>=, a, b)
#define CHECK_GT(a, b) MESHSTEP_CHECK_OP(>, a, b)

#endif  // MESHSTEP_SIM_BASE_CHECK_H_
