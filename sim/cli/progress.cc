#include "sim/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

constexpr std::chrono::milliseconds kRedraw{100}, kLine{10000};

}  // namespace

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0), begin_(Clock::now()), last_(begin_) {}

Progress::~Progress() {
  if (terminal_ && shown_) std::cerr << "\r\033[K" << std::flush;
}

void Progress::Show(const std::function<std::string()>& line) {
  const Clock::time_point now = Clock::now();
  if (now - last_ < (terminal_ ? kRedraw : kLine)) return;
  last_ = now;
  shown_ = true;
  if (terminal_) {
    std::cerr << "\r" << line() << "\033[K" << std::flush;
  } else {
    std::cerr << line() << "\n";
  }
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

std::string ProgressBar(double fraction) {
  constexpr int kWidth = 20;
  const double part = std::clamp(fraction, 0.0, 1.0);
  const int full = static_cast<int>(part * kWidth);
  return absl::StrCat("[", std::string(static_cast<std::size_t>(full), '#'),
                      std::string(static_cast<std::size_t>(kWidth - full), '.'), "] ",
                      static_cast<int>(std::floor(100 * part)), " %");
}

}  // namespace meshstep
