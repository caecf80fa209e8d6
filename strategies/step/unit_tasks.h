// One task per unit of a stage.
//
// A step has one of these for every kernel and collective of every micro-batch, and few stages have
// more than a handful of units: ids stand in place unless there are more.

#ifndef MESHSTEP_STRATEGIES_STEP_UNIT_TASKS_H_
#define MESHSTEP_STRATEGIES_STEP_UNIT_TASKS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "sim/engine/task_graph.h"

namespace meshstep {

// -1 where there is nothing to wait for. Empty after it was moved from.
class UnitTasks {
 public:
  UnitTasks() = default;
  explicit UnitTasks(std::size_t units, TaskId task = -1)
      : size_(static_cast<std::uint32_t>(units)) {
    if (units > kFew) many_ = std::make_unique<TaskId[]>(units);
    std::fill_n(data(), units, task);
  }
  UnitTasks(const UnitTasks& o) : size_(o.size_), few_(o.few_) { CopyMany(o); }
  UnitTasks(UnitTasks&& o) noexcept
      : many_(std::move(o.many_)), size_(std::exchange(o.size_, 0)), few_(o.few_) {}
  UnitTasks& operator=(const UnitTasks& o) {
    if (this == &o) return *this;
    many_ = nullptr;
    size_ = o.size_;
    few_ = o.few_;
    CopyMany(o);
    return *this;
  }
  UnitTasks& operator=(UnitTasks&& o) noexcept {
    many_ = std::move(o.many_);
    size_ = std::exchange(o.size_, 0);
    few_ = o.few_;
    return *this;
  }
  ~UnitTasks() = default;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void clear() { *this = UnitTasks(); }
  TaskId operator[](std::size_t unit) const { return data()[unit]; }
  TaskId& operator[](std::size_t unit) { return data()[unit]; }

 private:
  static constexpr std::size_t kFew = 5;
  void CopyMany(const UnitTasks& o) {
    if (o.many_ == nullptr) return;
    many_ = std::make_unique<TaskId[]>(size_);
    std::copy_n(o.many_.get(), size_, many_.get());
  }
  const TaskId* data() const { return many_ != nullptr ? many_.get() : few_.data(); }
  TaskId* data() { return many_ != nullptr ? many_.get() : few_.data(); }

  std::unique_ptr<TaskId[]> many_;  // all of them, if they are more than kFew
  std::uint32_t size_ = 0;
  std::array<TaskId, kFew> few_ = {};
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_UNIT_TASKS_H_
