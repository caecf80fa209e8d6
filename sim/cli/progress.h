// How far a long command is, on standard error: one line that is written over on a terminal;
// elsewhere a line every ten seconds.

#ifndef MESHSTEP_SIM_CLI_PROGRESS_H_
#define MESHSTEP_SIM_CLI_PROGRESS_H_

#include <chrono>
#include <functional>
#include <string>

namespace meshstep {

class Progress {
 public:
  Progress();
  ~Progress();  // clears the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows `line()` if the last one is old enough. Not for several threads at once.
  void Show(const std::function<std::string()>& line);
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;
  const bool terminal_;
  const Clock::time_point begin_;
  Clock::time_point last_;
  bool shown_ = false;
};

// "[#####.....]  42 %".
std::string ProgressBar(double fraction);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_PROGRESS_H_
