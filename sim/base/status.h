// Errors at the border: a Status or StatusOr carries one message, possibly of several lines, one
// line per problem. sim/base/diagnostics.h builds such messages.

#ifndef MESHSTEP_SIM_BASE_STATUS_H_
#define MESHSTEP_SIM_BASE_STATUS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace meshstep {

using Status = absl::Status;
template <class T>
using StatusOr = absl::StatusOr<T>;

// absl::InvalidArgumentError takes absl::string_view, which std::string converts to but
// std::string_view does not on Debian 12.
inline Status InvalidInput(const std::string& message) {
  return absl::InvalidArgumentError(message);
}

}  // namespace meshstep

#define MESHSTEP_CONCAT_INNER(a, b) a##b
#define MESHSTEP_CONCAT(a, b) MESHSTEP_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                                               \
  do {                                                                            \
    if (::meshstep::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#define ASSIGN_OR_RETURN(left, expression) \
  MESHSTEP_ASSIGN_OR_RETURN(MESHSTEP_CONCAT(status_or_, __LINE__), left, expression)
// NOLINTBEGIN(bugprone-macro-parentheses): `left` may be a declaration.
#define MESHSTEP_ASSIGN_OR_RETURN(temporary, left, expression) \
  auto temporary = (expression);                               \
  if (!temporary.ok()) return temporary.status();              \
  left = *std::move(temporary)
// NOLINTEND(bugprone-macro-parentheses)

#endif  // MESHSTEP_SIM_BASE_STATUS_H_
