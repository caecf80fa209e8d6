#include "strategies/lowering.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "strategies/optimizer.h"
#include "strategies/schedules/schedule.h"
#include "strategies/step_builder.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

constexpr int kEmbedding = -1;  // TaskInfo::layer; the head is model.layers

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Block plans of a model under a plan, one per kind of block.
struct ModelPlan {
  BlockPlan embedding, head;
  std::vector<BlockPlan> kinds;
  std::vector<int> layer_kind;

  const BlockPlan& of(int layer) const {
    if (layer == kEmbedding) return embedding;
    if (Index(layer) == layer_kind.size()) return head;
    return kinds[Index(layer_kind[Index(layer)])];
  }
};

StatusOr<ModelPlan> LowerModel(const BlockContext& context) {
  const Transformer transformer = BuildTransformer(
      *context.model,
      {.unfused_attention = context.plan->unfused_attention, .dropout = context.plan->dropout});
  ModelPlan plan;
  ASSIGN_OR_RETURN(plan.embedding, LowerBlock(transformer.embedding, context));
  ASSIGN_OR_RETURN(plan.head, LowerBlock(transformer.head, context));
  for (const Block& kind : transformer.kinds) {
    ASSIGN_OR_RETURN(BlockPlan block, LowerBlock(kind, context));
    plan.kinds.push_back(std::move(block));
  }
  plan.layer_kind = transformer.layer_kind;
  return plan;
}

// Emits the runs of blocks of all stages in the order of the schedule.
class StepEmitter {
 public:
  StepEmitter(const Scenario& scenario, const ModelPlan& model, const ComputeModel& compute,
              StepBuilder* builder, StepGraph* out, int send);
  Status Emit();

 private:
  struct StageState {
    std::vector<Action> actions;
    std::size_t next = 0;
    std::vector<std::int64_t> last_backward;  // per chunk: its last micro-batch in backward
    std::vector<UnitTasks> run_ends;          // last compute task of each run, in order
    int last_block = -2;                      // of the run before
    UnitTasks gathered;                       // when its parameters were there
    std::vector<UnitTasks> updates;           // what the optimizer waits for
    std::vector<int> after_backward;          // layers whose gradients reduce after the last one
  };

  bool Ready(int stage, const Action& action) const;
  Status RunAction(int stage, const Action& action);
  StatusOr<UnitTasks> RunBlock(int stage, int layer, const Action& action, const UnitTasks& input);
  StatusOr<UnitTasks> EmitPass(StepBuilder::Where where, const BlockPass& pass,
                               const UnitTasks& input, const UnitTasks& parameters,
                               UnitTasks* first, UnitTasks* last);
  StatusOr<UnitTasks> GatherParameters(int stage, int layer, const Action& action);
  Status ReduceGradients(const StepBuilder::Where& where, const BlockPlan& block, bool last,
                         const UnitTasks& after);
  Status ReduceAfterBackward(int stage);
  Status Update(int stage);
  void Resident(int stage);
  void Memory(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket, double bytes);
  std::vector<int> LayersOfChunk(int stage, int chunk) const;
  UnitTasks None(int stage) const { return UnitTasks(Index(builder_.units_of(stage)), -1); }
  int VirtualStages() const { return plan_.stages * plan_.virtual_stages; }

  const Scenario& scenario_;
  const Plan& plan_;
  const ModelPlan& model_;
  const ComputeModel& compute_;
  StepBuilder& builder_;
  StepGraph& out_;
  const int send_;  // transfer between stages
  std::vector<StageState> stages_;
  // Per virtual stage and micro-batch: what its forward or backward waits for; empty: not there
  // yet.
  std::vector<std::vector<UnitTasks>> forward_input_, backward_input_;
  const std::string *gather_name_, *reduce_name_, *update_name_, *send_name_;
};

StepEmitter::StepEmitter(const Scenario& scenario, const ModelPlan& model,
                         const ComputeModel& compute, StepBuilder* builder, StepGraph* out,
                         int send)
    : scenario_(scenario),
      plan_(scenario.plan),
      model_(model),
      compute_(compute),
      builder_(*builder),
      out_(*out),
      send_(send),
      stages_(Index(plan_.stages)),
      forward_input_(Index(VirtualStages()), std::vector<UnitTasks>(Index(plan_.micro_batches))),
      backward_input_(forward_input_),
      gather_name_(builder->Intern("parameters")),
      reduce_name_(builder->Intern("gradients")),
      update_name_(builder->Intern("optimizer")),
      send_name_(builder->Intern("x")) {
  const Schedule* schedule = FindSchedule(plan_.schedule);
  CHECK(schedule != nullptr) << plan_.schedule << " ";
  for (int s = 0; s < plan_.stages; ++s) {
    StageState& state = stages_[Index(s)];
    state.actions = schedule->Actions(s, plan_.stages, plan_.virtual_stages, plan_.micro_batches);
    state.last_backward.assign(Index(plan_.virtual_stages), -1);
    for (const Action& action : state.actions) {
      if (action.kind == Action::Kind::kBackward) {
        state.last_backward[Index(action.chunk)] = action.micro_batch;
      }
    }
    Resident(s);
  }
  for (UnitTasks& input : forward_input_.front()) input = None(0);
  for (UnitTasks& input : backward_input_.back()) input = None(plan_.stages - 1);
}

std::vector<int> StepEmitter::LayersOfChunk(int stage, int chunk) const {
  const int index = chunk * plan_.stages + stage;
  std::vector<int> layers;
  if (index == 0) layers.push_back(kEmbedding);
  const LayerRange range = LayersOf(index, VirtualStages(), scenario_.model.layers);
  for (int l = range.begin; l < range.end; ++l) layers.push_back(l);
  if (index + 1 == VirtualStages()) layers.push_back(scenario_.model.layers);
  return layers;
}

void StepEmitter::Resident(int stage) {
  const Precision& p = plan_.precision;
  std::array<double, kMemoryBuckets> bytes = {};
  for (int chunk = 0; chunk < plan_.virtual_stages; ++chunk) {
    for (const int layer : LayersOfChunk(stage, chunk)) {
      const BlockPlan& block = model_.of(layer);
      bytes[Index(static_cast<int>(MemoryBucket::kParameters))] +=
          block.parameters * SizeOf(p.parameters).value();
      bytes[Index(static_cast<int>(MemoryBucket::kGradients))] +=
          block.gradients * SizeOf(p.gradients).value();
      bytes[Index(static_cast<int>(MemoryBucket::kOptimizer))] +=
          block.optimizer * p.optimizer_bytes;
    }
  }
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    out_.resident[Index(builder_.unit(stage, u))] = bytes;
  }
}

void StepEmitter::Memory(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket,
                         double bytes) {
  if (bytes == 0) return;
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    if (tasks[Index(u)] < 0) continue;
    out_.memory.push_back({tasks[Index(u)], at_end, builder_.unit(stage, u), bucket, bytes});
  }
}

bool StepEmitter::Ready(int stage, const Action& action) const {
  const int index = action.chunk * plan_.stages + stage;
  const auto& inputs = action.kind == Action::Kind::kForward ? forward_input_ : backward_input_;
  return !inputs[Index(index)][Index(action.micro_batch)].empty();
}

Status StepEmitter::Emit() {
  bool moved = true;
  while (moved) {
    moved = false;
    for (int s = 0; s < plan_.stages; ++s) {
      StageState& state = stages_[Index(s)];
      while (state.next < state.actions.size() && Ready(s, state.actions[state.next])) {
        RETURN_IF_ERROR(RunAction(s, state.actions[state.next++]));
        moved = true;
      }
    }
  }
  std::string stuck;
  for (int s = 0; s < plan_.stages; ++s) {
    const StageState& state = stages_[Index(s)];
    if (state.next == state.actions.size()) continue;
    const Action& a = state.actions[state.next];
    absl::StrAppend(&stuck, "\nstage ", s, " waits for the input of ",
                    a.kind == Action::Kind::kForward ? "forward" : "backward", " of micro-batch ",
                    a.micro_batch, " in chunk ", a.chunk);
  }
  if (!stuck.empty()) {
    return InvalidInput(absl::StrCat("deadlock in schedule ", plan_.schedule, ":", stuck));
  }
  for (int s = 0; s < plan_.stages; ++s) RETURN_IF_ERROR(Update(s));
  return absl::OkStatus();
}

Status StepEmitter::RunAction(int stage, const Action& action) {
  const bool forward = action.kind == Action::Kind::kForward;
  const int index = action.chunk * plan_.stages + stage;
  std::vector<int> layers = LayersOfChunk(stage, action.chunk);
  if (!forward) std::reverse(layers.begin(), layers.end());
  UnitTasks value =
      (forward ? forward_input_ : backward_input_)[Index(index)][Index(action.micro_batch)];
  for (const int layer : layers) {
    ASSIGN_OR_RETURN(value, RunBlock(stage, layer, action, value));
  }
  const int next = forward ? index + 1 : index - 1;
  if (next < 0 || next >= VirtualStages()) return absl::OkStatus();
  const int to = next % plan_.stages;
  UnitTasks* arrival =
      &(forward ? forward_input_ : backward_input_)[Index(next)][Index(action.micro_batch)];
  if (to == stage) {
    *arrival = value;
    return absl::OkStatus();
  }
  // What leaves a block may be its input unchanged; then the last compute task made it.
  const UnitTasks& end = stages_[Index(stage)].run_ends.back();
  for (std::size_t u = 0; u < value.size(); ++u) {
    if (value[u] < 0) value[u] = end[u];
  }
  const StepBuilder::Where where{stage, -2, static_cast<int>(action.micro_batch),
                                 forward ? Pass::kForward : Pass::kBackward};
  ASSIGN_OR_RETURN(*arrival, builder_.AddSend(where, to, send_name_, send_,
                                              forward ? "forward" : "backward", value));
  return absl::OkStatus();
}

// Brings the parameters of a block, `prefetch_layers` runs ahead of its use.
StatusOr<UnitTasks> StepEmitter::GatherParameters(int stage, int layer, const Action& action) {
  StageState& state = stages_[Index(stage)];
  const BlockPlan& block = model_.of(layer);
  if (block.gathers.empty()) return None(stage);
  if (state.last_block == layer) return state.gathered;  // still there from the run before
  const bool keeps = plan_.accumulate_unsharded;
  if (keeps && (action.micro_batch > 0 || action.kind == Action::Kind::kBackward)) {
    return None(stage);
  }
  const StepBuilder::Where where{
      stage, layer, static_cast<int>(action.micro_batch),
      action.kind == Action::Kind::kForward ? Pass::kForward : Pass::kBackward};
  const auto ahead = static_cast<std::ptrdiff_t>(state.run_ends.size()) - 1 - plan_.prefetch_layers;
  UnitTasks ready = ahead >= 0 ? state.run_ends[Index(ahead)] : None(stage);
  UnitTasks first;
  for (const int transfer : block.gathers) {
    const UnitTasks* after[] = {&ready};
    ASSIGN_OR_RETURN(ready, builder_.AddTransfer(where, gather_name_, transfer, after));
    if (first.empty()) first = ready;
  }
  Memory(stage, first, false, MemoryBucket::kWorkspace,
         block.gathered_parameters * SizeOf(plan_.precision.compute).value());
  return ready;
}

StatusOr<UnitTasks> StepEmitter::RunBlock(int stage, int layer, const Action& action,
                                          const UnitTasks& input) {
  StageState& state = stages_[Index(stage)];
  const BlockPlan& block = model_.of(layer);
  const bool forward = action.kind == Action::Kind::kForward;
  ASSIGN_OR_RETURN(state.gathered, GatherParameters(stage, layer, action));
  StepBuilder::Where where{stage, layer, static_cast<int>(action.micro_batch),
                           forward ? Pass::kForward : Pass::kBackward};
  UnitTasks first, last = state.run_ends.empty() ? None(stage) : state.run_ends.back();
  if (!forward && !block.recompute.steps.empty()) {
    where.pass = Pass::kRecompute;
    RETURN_IF_ERROR(
        EmitPass(where, block.recompute, None(stage), state.gathered, &first, &last).status());
    where.pass = Pass::kBackward;
  }
  ASSIGN_OR_RETURN(UnitTasks output, EmitPass(where, forward ? block.forward : block.backward,
                                              input, state.gathered, &first, &last));
  Memory(stage, first, false, MemoryBucket::kWorkspace, block.workspace_bytes);
  Memory(stage, last, true, MemoryBucket::kWorkspace, -block.workspace_bytes);
  if (forward) {
    Memory(stage, first, false, MemoryBucket::kActivations, block.kept_bytes);
  } else {
    Memory(stage, first, false, MemoryBucket::kActivations, block.recomputed_bytes);
    Memory(stage, last, true, MemoryBucket::kActivations,
           -(block.kept_bytes + block.recomputed_bytes));
  }
  // The head's backward follows its forward at once; its parameters stay for it.
  const bool turns = forward && layer == scenario_.model.layers && plan_.stages == 1;
  if (!block.gathers.empty() && !turns && !plan_.accumulate_unsharded) {
    Memory(stage, last, true, MemoryBucket::kWorkspace,
           -block.gathered_parameters * SizeOf(plan_.precision.compute).value());
  }
  state.last_block = turns ? layer : -2;
  state.run_ends.push_back(last);
  if (!forward) {
    const bool last_time = state.last_backward[Index(action.chunk)] == action.micro_batch;
    RETURN_IF_ERROR(ReduceGradients(where, block, last_time, last));
  }
  return output;
}

StatusOr<UnitTasks> StepEmitter::EmitPass(StepBuilder::Where where, const BlockPass& pass,
                                          const UnitTasks& input, const UnitTasks& parameters,
                                          UnitTasks* first, UnitTasks* last) {
  std::vector<UnitTasks> made(pass.steps.size());
  std::vector<const UnitTasks*> after;
  const double stands_for = static_cast<double>(
      out_.units[Index(builder_.unit(where.stage, 0))].devices * builder_.units_of(where.stage));
  for (std::size_t i = 0; i < pass.steps.size(); ++i) {
    const BlockStep& step = pass.steps[i];
    after.clear();
    for (const int s : step.after) after.push_back(&made[Index(s)]);
    if (step.needs_input) after.push_back(&input);
    if (step.needs_parameters) after.push_back(&parameters);
    const std::string* name = builder_.Intern(step.name);
    if (step.transfer < 0) {
      made[i] = builder_.AddCompute(where, TaskKind::kCompute, name, step.duration, after,
                                    step.flops, step.hbm_bytes);
      *last = made[i];
      out_.hardware_flops += stands_for * step.flops;
    } else {
      // A collective on what an earlier block computed starts when that block is done.
      if (step.after.empty()) after.push_back(last);
      ASSIGN_OR_RETURN(made[i], builder_.AddTransfer(where, name, step.transfer, after));
    }
    if (first->empty()) *first = made[i];
  }
  return pass.output >= 0 ? made[Index(pass.output)] : input;
}

// The gradients of a block leave in its collectives, one after the other.
Status StepEmitter::ReduceGradients(const StepBuilder::Where& where, const BlockPlan& block,
                                    bool last, const UnitTasks& after) {
  UnitTasks ready = after;
  std::vector<int> transfers = block.reduces;
  if (last && plan_.overlap_gradients) {
    transfers.insert(transfers.end(), block.last_reduces.begin(), block.last_reduces.end());
  } else if (last && !block.last_reduces.empty()) {
    stages_[Index(where.stage)].after_backward.push_back(where.layer);
  }
  const double whole = block.reduces.empty()
                           ? 0
                           : block.gathered_parameters * SizeOf(plan_.precision.reduce).value();
  Memory(where.stage, after, true, MemoryBucket::kWorkspace, whole);
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    const UnitTasks* list[] = {&ready};
    ASSIGN_OR_RETURN(ready, builder_.AddTransfer(where, reduce_name_, transfers[i], list));
    if (i + 1 == block.reduces.size()) {
      Memory(where.stage, ready, true, MemoryBucket::kWorkspace, -whole);
    }
  }
  if (!transfers.empty() && last) stages_[Index(where.stage)].updates.push_back(ready);
  return absl::OkStatus();
}

// Without overlap: the sums that are due once a step, after the last backward of the stage.
Status StepEmitter::ReduceAfterBackward(int stage) {
  StageState& state = stages_[Index(stage)];
  if (state.after_backward.empty()) return absl::OkStatus();
  UnitTasks ready = state.run_ends.back();
  for (const int layer : state.after_backward) {
    const StepBuilder::Where where{stage, layer, static_cast<int>(plan_.micro_batches) - 1,
                                   Pass::kBackward};
    for (const int transfer : model_.of(layer).last_reduces) {
      const UnitTasks* list[] = {&ready};
      ASSIGN_OR_RETURN(ready, builder_.AddTransfer(where, reduce_name_, transfer, list));
    }
  }
  state.updates.push_back(ready);
  return absl::OkStatus();
}

// Optimizer: reads gradients and state, writes state and parameters (ZeRO, arXiv 1910.02054 §3.1).
Status StepEmitter::Update(int stage) {
  RETURN_IF_ERROR(ReduceAfterBackward(stage));
  StageState& state = stages_[Index(stage)];
  double elements = 0;
  std::vector<int> layers;
  for (int chunk = 0; chunk < plan_.virtual_stages; ++chunk) {
    for (const int layer : LayersOfChunk(stage, chunk)) {
      elements += model_.of(layer).optimizer;
      layers.push_back(layer);
    }
  }
  Bytes bytes;
  Time duration;
  for (const double per_element : OptimizerPasses(plan_)) {
    bytes += Bytes(elements * per_element);
    duration += compute_.Elementwise(Bytes(elements * per_element));
  }
  std::vector<const UnitTasks*> after;
  for (const UnitTasks& update : state.updates) after.push_back(&update);
  const StepBuilder::Where where{stage, -2, 0, Pass::kUpdate};
  const UnitTasks updated = builder_.AddCompute(where, TaskKind::kOptimizer, update_name_, duration,
                                                after, Flops(), bytes);
  for (const int layer : layers) {
    UnitTasks ready = updated;
    for (const int transfer : model_.of(layer).regathers) {
      const UnitTasks* list[] = {&ready};
      const StepBuilder::Where at{stage, layer, 0, Pass::kUpdate};
      ASSIGN_OR_RETURN(ready, builder_.AddTransfer(at, gather_name_, transfer, list));
    }
  }
  return absl::OkStatus();
}

}  // namespace

LayerRange LayersOf(int index, int count, int layers) {
  // Stages 1, 2, ... get one layer more until none is left over; the last comes last.
  const int base = layers / count, over = layers % count;
  const auto extra_before = [&](int i) { return std::clamp(i - 1, 0, over); };
  return {index * base + extra_before(index), (index + 1) * base + extra_before(index + 1)};
}

GraphNames StepGraph::Names() const {
  GraphNames result;
  result.task = [this](TaskId t) {
    const TaskInfo& info = tasks[Index(t)];
    std::string text = *info.name;
    if (info.layer >= 0) absl::StrAppend(&text, ", layer ", info.layer);
    return absl::StrCat(text, ", micro-batch ", info.micro_batch);
  };
  result.stream = [this](StreamId s) {
    const StreamInfo& info = streams[Index(s)];
    const UnitInfo& unit = units[Index(info.unit)];
    return absl::StrCat("stage ", unit.stage, " device ", unit.device, " ", info.name);
  };
  return result;
}

namespace {

// An error of one field in the form of sim/base/diagnostics.h, without the place in the file.
Status InField(const char* field, const Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return InvalidInput(absl::StrCat(field, ": ", std::string(status.message())));
}

// `chip` with the measurements of the attention kernel of that name, if there are any.
Chip WithKernel(Chip chip, const std::string& kernel) {
  const auto it = chip.calibration.attention_by_kernel.find(kernel);
  if (it != chip.calibration.attention_by_kernel.end()) {
    chip.calibration.attention = std::vector<AttentionCalibration>(it->second);
  }
  return chip;
}

}  // namespace

StatusOr<StepGraph> LowerStep(const Scenario& scenario, const LoweringOptions& options) {
  const Plan& plan = scenario.plan;
  const std::unique_ptr<Fabric> fabric =
      BuildFabric(FitTiers(scenario.cluster, plan.axes), RateSet::kDatasheet, options.fidelity);
  StatusOr<Mesh> placed = Mesh::Place(*fabric, plan.axes);
  if (!placed.ok()) return InField("plan.mesh", placed.status());
  const Mesh mesh = *std::move(placed);
  std::vector<AxisId> distinguished;
  if (plan.pipeline >= 0) distinguished.push_back(plan.pipeline);
  const LinkClasses classes(mesh, distinguished);
  const CollectiveModel collectives(mesh, &classes, options.fidelity);
  const CollectiveModel explicit_links(mesh, nullptr, options.fidelity);
  const ComputeModel compute(WithKernel(scenario.cluster.chip, plan.flash_kernel),
                             RateSet::kDatasheet, options.fidelity);

  TransferTable transfers;
  const BlockContext context{&scenario.model, &plan, &scenario.workload, &compute, &transfers};
  const StatusOr<ModelPlan> lowered = LowerModel(context);
  if (!lowered.ok()) return InField("plan.rules", lowered.status());
  const ModelPlan& model = *lowered;
  const Sharding residual = Apply(plan.rules.residual, {"B", "T", "D"});
  const double residual_bytes =
      context.LocalElements(residual) * SizeOf(plan.precision.compute).value();
  int send = -1;
  if (plan.pipeline >= 0) {
    send =
        transfers.Intern({Collective::kPermute, {plan.pipeline}, Role::kPipeline, residual_bytes});
  }

  StepGraph out;
  for (const AxisRequest& axis : plan.axes) out.axis_names.push_back(axis.name);
  for (int t = 0; t < transfers.size(); ++t) out.transfers.push_back({transfers[t], "", 0});
  StepBuilder builder(plan, mesh, classes, collectives,
                      options.unfolded ? &explicit_links : nullptr, transfers, &out);
  out.resident.resize(out.units.size());
  StepEmitter emitter(scenario, model, compute, &builder, &out, send);
  RETURN_IF_ERROR(emitter.Emit());
  return out;
}

}  // namespace meshstep
