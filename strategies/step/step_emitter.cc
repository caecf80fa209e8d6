#include "strategies/step/step_emitter.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/index.h"
#include "strategies/framework/kernel_sums.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

// A task takes some 150 bytes; a step takes less than 2 GB.
constexpr std::size_t kMostTasks = 14'000'000;
// Of a block in an update, at most, beside its collectives.
constexpr std::size_t kUpdateTasks = 8;

Pipeline ShapeOf(const Plan& plan, const StepFold* fold) {
  Pipeline shape = plan.pipeline_shape();
  if (fold != nullptr) shape.micro_batches = fold->few;
  return shape;
}

Pass DirectionOf(const Action& action) {
  return action.kind == Kind::kForward ? Pass::kForward : Pass::kBackward;
}

}  // namespace

StepEmitter::StepEmitter(const Scenario& scenario, const LoweredModel& model,
                         const StepRates& rates, const SendTransfers& send, StepBuilder* builder,
                         StepGraph* out, const StepFold* fold, FoldRecord* record)
    : context_(scenario, model, rates, builder, out),
      out_(*out),
      fold_(fold),
      record_(record),
      shape_(ShapeOf(scenario.plan, fold)),
      send_(send),
      gatherer_(&context_),
      offloader_(&context_),
      reducer_(&context_),
      updater_(&context_),
      runner_(&context_, &gatherer_, &offloader_, &reducer_),
      stages_(Index(scenario.plan.stages)),
      forward_input_(scenario.plan.parts.size(),
                     std::vector<UnitTasks>(Index(shape_.micro_batches))),
      backward_input_(forward_input_),
      send_name_(builder->Intern("x")) {
  const Plan& plan = scenario.plan;
  for (int s = 0; s < plan.stages; ++s) {
    Stage& stage = stages_[Index(s)];
    stage.actions = plan.order->Actions(s, shape_);
    for (int c = 0; c < plan.order->Chunks(s, shape_); ++c) {
      stage.parts.push_back(plan.order->PartOf({s, c}, shape_));
    }
    stage.last_backward.assign(stage.parts.size(), -1);
    for (const Action& action : stage.actions) {
      if (EndsBackward(action.kind)) stage.last_backward[Index(action.chunk)] = action.micro_batch;
    }
    HoldResident(s);
  }
  const int last = static_cast<int>(plan.parts.size()) - 1;
  for (std::int64_t i = 0; i < shape_.micro_batches; ++i) {
    const int first_stage = plan.order->PlaceOf(0, i, shape_).stage;
    const int last_stage = plan.order->PlaceOf(last, i, shape_).stage;
    forward_input_.front()[Index(i)] = builder->None(first_stage);
    backward_input_.back()[Index(i)] = builder->None(last_stage);
  }
}

void StepEmitter::HoldResident(int stage) {
  const Plan& plan = context_.plan;
  std::array<double, kMemoryBuckets> bytes = {};
  const auto of = [&](MemoryBucket bucket) -> double& {
    return bytes[Index(static_cast<int>(bucket))];
  };
  of(MemoryBucket::kWorkspace) = plan.kernels.library_workspace_bytes;
  for (const int part : stages_[Index(stage)].parts) {
    for (const LayerRef& layer : context_.model.layers[Index(part)]) {
      const LoweredBlock& block = context_.model.of(layer);
      of(MemoryBucket::kParameters) +=
          std::max(0.0, block.parameter_bytes - block.host_parameters.bytes);
      of(MemoryBucket::kGradients) += block.gradients * SizeOf(plan.precision.gradients).value();
      of(MemoryBucket::kOptimizer) += block.optimizer_bytes - block.host_optimizer.bytes;
      of(MemoryBucket::kKvCache) += block.kv_cache_bytes;
    }
  }
  context_.memory.HoldAllStep(stage, bytes);
}

int StepEmitter::PartOf(int stage, const Action& action) const {
  return stages_[Index(stage)].parts[Index(action.chunk)];
}

// What the action of a part waits for: of forward from the part before, else from the part after.
UnitTasks* StepEmitter::InputOf(int part, const Action& action) {
  auto& inputs = action.kind == Kind::kForward ? forward_input_ : backward_input_;
  return &inputs[Index(part)][Index(action.micro_batch)];
}

// Actions that run together wait for each other.
bool StepEmitter::NextReady(int stage) {
  const Stage& state = stages_[Index(stage)];
  for (std::size_t i = state.next; i < state.actions.size(); ++i) {
    const Action& action = state.actions[i];
    // The other half of a split backward came before it on the same stage.
    const bool there =
        action.kind == Kind::kBackwardWeight || !InputOf(PartOf(stage, action), action)->empty();
    if (!there) return false;
    if (!action.with_next) return true;
  }
  return false;
}

// Kernels and collectives of all blocks, sends, and the update; of all micro-batches.
std::size_t StepEmitter::ExpectedTasks() const {
  std::size_t tasks = 0;
  for (int s = 0; s < context_.plan.stages; ++s) {
    std::size_t of_stage = 0;
    for (const Action& action : stages_[Index(s)].actions) {
      const bool forward = action.kind == Kind::kForward;
      const bool weights = action.kind == Kind::kBackwardWeight;
      for (const LayerRef& layer : context_.model.layers[Index(PartOf(s, action))]) {
        const LoweredBlock& block = context_.model.of(layer);
        of_stage += forward   ? block.forward.steps.size() + block.gathers.size()
                    : weights ? block.backward_weight.steps.size() + block.reduces.size()
                              : block.recompute.steps.size() + block.backward.steps.size() +
                                    block.gathers.size() + block.reduces.size();
      }
      ++of_stage;  // a send
    }
    if (fold_ != nullptr) {
      of_stage = of_stage / Index(fold_->few) * Index(context_.plan.micro_batches);
    }
    for (const int part : stages_[Index(s)].parts) {
      for (const LayerRef& layer : context_.model.layers[Index(part)]) {
        const LoweredBlock& block = context_.model.of(layer);
        // Beside these a copy to the host and back, twice, and passes over gradients.
        of_stage += block.last_reduces.size() + block.regathers.size() + kUpdateTasks;
      }
      of_stage += context_.model.directions[Index(part)].size() + 1;
    }
    tasks += of_stage * Index(context_.builder.units_of(s));
  }
  return tasks;
}

Status StepEmitter::Emit() {
  const Plan& plan = context_.plan;
  const std::size_t expected = ExpectedTasks();
  // The host may issue each of them by a task of its own.
  const bool issues = plan.kernels.launches != Kernels::Launches::kNone;
  const std::size_t most = issues ? 2 * expected : expected;
  if (most > kMostTasks) {
    return InvalidInput(absl::StrCat("plan.micro_batch_sequences: gives ", plan.micro_batches,
                                     " micro-batches of up to ", most,
                                     " tasks in all, expected at most ", kMostTasks));
  }
  // What is not used takes no memory.
  const std::size_t here = most * Index(shape_.micro_batches) / Index(plan.micro_batches);
  context_.builder.Reserve(here);
  if (record_ != nullptr) record_->beats.common = std::numeric_limits<TaskId>::max();
  bool moved = true;
  while (moved) {
    moved = false;
    for (int s = 0; s < plan.stages; ++s) {
      while (NextReady(s)) {
        RETURN_IF_ERROR(RunNext(s));
        moved = true;
      }
    }
  }
  if (const std::string stuck = Stuck(); !stuck.empty()) {
    return InvalidInput(absl::StrCat("plan.schedule", plan.schedule_table.empty() ? "" : "_table",
                                     ": deadlock:", stuck));
  }
  if (context_.workload.forward_only()) return absl::OkStatus();
  for (int s = 0; s < plan.stages; ++s) {
    RETURN_IF_ERROR(reducer_.ReduceLate(s, stages_[Index(s)].parts));
  }
  reducer_.Share();
  for (int s = 0; s < plan.stages; ++s) {
    RETURN_IF_ERROR(updater_.Update(s, stages_[Index(s)].parts, reducer_.Ready(s)));
  }
  if (record_ != nullptr) record_->hosts.push_back(context_.host.TakeSpans());
  return absl::OkStatus();
}

std::string StepEmitter::Stuck() const {
  std::string stuck;
  for (int s = 0; s < context_.plan.stages; ++s) {
    const Stage& stage = stages_[Index(s)];
    if (stage.next == stage.actions.size()) continue;
    const Action& action = stage.actions[stage.next];
    absl::StrAppend(&stuck, "\nstage ", s, " waits for the input of ",
                    std::string(NameOf(action.kind)), " of micro-batch ", action.micro_batch,
                    " of part ", PartOf(s, action));
  }
  return stuck;
}

Status StepEmitter::RunNext(int stage) {
  Stage& state = stages_[Index(stage)];
  std::vector<Chain> chains;
  do {
    ASSIGN_OR_RETURN(Chain chain, Start(stage, state.actions[state.next++]));
    chains.push_back(std::move(chain));
  } while (chains.back().action.with_next);
  const bool in_turn = chains.size() > 1;
  for (bool moved = true; moved;) {
    moved = false;
    for (Chain& chain : chains) {
      if (chain.Done()) continue;
      RETURN_IF_ERROR(Advance(&chain, in_turn));
      moved = true;
    }
  }
  for (const Chain& chain : chains) RETURN_IF_ERROR(Deliver(chain));
  if (record_ != nullptr) Note(stage, chains);
  return absl::OkStatus();
}

void StepEmitter::Note(int stage, const std::vector<Chain>& ran) {
  const StepFold::Stage& fold = fold_->stages[Index(stage)];
  const std::size_t next = stages_[Index(stage)].next;
  Beats& beats = record_->beats;
  for (const Chain& chain : ran) {
    const TaskId mark = context_.ends.Last(stage)[0];
    if (chain.part != 0 || !EndsBackward(chain.action.kind) || mark < 0) continue;
    beats.marks.push_back(mark);
    record_->hosts.push_back(context_.host.TakeSpans());
  }
  const TaskId tasks = out_.graph.tasks();
  if (next <= fold.steady) beats.steady = std::max(beats.steady, tasks);
  if (next >= fold.common) beats.common = std::min(beats.common, tasks);
}

// The input of a forward or backward, whole.
StatusOr<UnitTasks> StepEmitter::Received(int stage, int part, const Action& action) {
  const UnitTasks& arrived = *InputOf(part, action);
  const int from = action.kind == Kind::kForward ? part - 1 : part + 1;
  const Plan& plan = context_.plan;
  if (send_.gather < 0 || from < 0 || from >= static_cast<int>(plan.parts.size()) ||
      plan.order->PlaceOf(from, action.micro_batch, shape_).stage == stage) {
    return arrived;
  }
  return context_.host.Transfer(
      {stage, {}, static_cast<int>(action.micro_batch), DirectionOf(action)}, send_name_,
      send_.gather, {&arrived});
}

StatusOr<StepEmitter::Chain> StepEmitter::Start(int stage, const Action& action) {
  const int part = PartOf(stage, action);
  Chain chain{stage, action, part, context_.model.layers[Index(part)]};
  if (action.kind != Kind::kForward) std::reverse(chain.layers.begin(), chain.layers.end());
  chain.value = context_.builder.None(stage);
  if (action.kind != Kind::kBackwardWeight) {
    ASSIGN_OR_RETURN(chain.value, Received(stage, part, action));
  }
  if (HostWaitsBefore(context_.plan, OpRole::kAction)) {
    context_.host.WaitFor(stage, chain.value);
    if (context_.ends.Any(stage)) context_.host.WaitFor(stage, context_.ends.Last(stage));
  }
  return chain;
}

// to_transfer: stop where a kernel may have to wait for a collective.
Status StepEmitter::Advance(Chain* chain, bool to_transfer) {
  const Action& action = chain->action;
  const bool last =
      stages_[Index(chain->stage)].last_backward[Index(action.chunk)] == action.micro_batch;
  do {
    if (!chain->running) {
      const LayerRef& layer = chain->layers[chain->at];
      ASSIGN_OR_RETURN(chain->run, runner_.Begin(chain->stage, layer, action, chain->value));
      chain->running = true;
    }
    RETURN_IF_ERROR(runner_.Advance(&chain->run, to_transfer));
    if (!chain->run.Done()) return absl::OkStatus();
    RETURN_IF_ERROR(runner_.End(chain->run, chain->part, last));
    chain->value = std::move(chain->run.output);
    chain->running = false;
    ++chain->at;
  } while (!chain->Done() && !to_transfer);
  return absl::OkStatus();
}

// Sends what leaves the chunk to the stage that holds the next part.
Status StepEmitter::Deliver(const Chain& chain) {
  const Action& action = chain.action;
  if (action.kind == Kind::kBackwardWeight) return absl::OkStatus();
  const bool forward = action.kind == Kind::kForward;
  const int next = forward ? chain.part + 1 : chain.part - 1;
  if (next < 0 || next >= static_cast<int>(context_.plan.parts.size())) return absl::OkStatus();
  const int to = context_.plan.order->PlaceOf(next, action.micro_batch, shape_).stage;
  UnitTasks* arrival = InputOf(next, action);
  if (to == chain.stage) {
    *arrival = chain.value;
    return absl::OkStatus();
  }
  // What leaves a block may be its input unchanged; then the last compute task made it.
  const UnitTasks& end = context_.ends.Last(chain.stage);
  UnitTasks value = chain.value;
  for (std::size_t u = 0; u < value.size(); ++u) {
    if (value[u] < 0) value[u] = end[u];
  }
  const StepBuilder::Where where{
      chain.stage, {}, static_cast<int>(action.micro_batch), DirectionOf(action)};
  const UnitTasks issued = context_.host.Issue(where, 1);
  TaskLists after = {&value};
  if (!issued.empty()) after.push_back(&issued);
  *arrival = context_.builder.AddSend(where, to, send_name_, send_.send,
                                      forward ? "forward" : "backward", after);
  return absl::OkStatus();
}

}  // namespace meshstep
