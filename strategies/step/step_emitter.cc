#include "strategies/step/step_emitter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "strategies/framework/host_launches.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

// Room is made for so many tasks at most before they are there.
constexpr std::size_t kMostReserved = std::size_t{1} << 24;

bool EndsBackward(Kind kind) { return kind == Kind::kBackward || kind == Kind::kBackwardWeight; }

}  // namespace

StepEmitter::StepEmitter(const Scenario& scenario, const LoweredModel& model,
                         const ComputeModel& compute, StepBuilder* builder, StepGraph* out,
                         const SendTransfers& send, Seconds dispatch)
    : scenario_(scenario),
      plan_(scenario.plan),
      shape_(plan_.pipeline_shape()),
      model_(model),
      compute_(compute),
      builder_(*builder),
      out_(*out),
      send_(send),
      stages_(Index(plan_.stages)),
      forward_input_(plan_.parts.size(), std::vector<UnitTasks>(Index(plan_.micro_batches))),
      backward_input_(forward_input_),
      dispatch_(dispatch),
      launch_name_(builder->Intern("launch")),
      gather_name_(builder->Intern("parameters")),
      copy_out_name_(builder->Intern("parameters copy")),
      copy_in_name_(builder->Intern("gradients copy")),
      reduce_name_(builder->Intern("gradients")),
      update_name_(builder->Intern("optimizer")),
      offload_name_(builder->Intern("activations")),
      send_name_(builder->Intern("x")),
      gradients_name_(builder->Intern("gradient buffer")) {
  for (int s = 0; s < plan_.stages; ++s) {
    StageState& state = stages_[Index(s)];
    state.actions = plan_.order->Actions(s, shape_);
    for (int c = 0; c < plan_.order->Chunks(s, shape_); ++c) {
      state.chunks.push_back({plan_.order->PartOf({s, c}, shape_), -1});
    }
    for (const Action& action : state.actions) {
      if (!EndsBackward(action.kind)) continue;
      state.chunks[Index(action.chunk)].last_backward = action.micro_batch;
    }
    Resident(s);
  }
  const int last = static_cast<int>(plan_.parts.size()) - 1;
  for (std::int64_t i = 0; i < plan_.micro_batches; ++i) {
    forward_input_.front()[Index(i)] = None(plan_.order->PlaceOf(0, i, shape_).stage);
    backward_input_.back()[Index(i)] = None(plan_.order->PlaceOf(last, i, shape_).stage);
  }
}

UnitTasks StepEmitter::None(int stage) const {
  return UnitTasks(Index(builder_.units_of(stage)), -1);
}

const std::vector<LayerRef>& StepEmitter::LayersOf(int stage, int chunk) const {
  return model_.layers[Index(stages_[Index(stage)].chunks[Index(chunk)].part)];
}

void StepEmitter::Resident(int stage) {
  const Precision& p = plan_.precision;
  std::array<double, kMemoryBuckets> bytes = {};
  bytes[Index(static_cast<int>(MemoryBucket::kWorkspace))] = plan_.kernels.library_workspace_bytes;
  for (const Chunk& chunk : stages_[Index(stage)].chunks) {
    for (const LayerRef layer : model_.layers[Index(chunk.part)]) {
      const LoweredBlock& block = model_.of(layer);
      bytes[Index(static_cast<int>(MemoryBucket::kParameters))] +=
          block.parameter_bytes * (1 - plan_.offload.parameters);
      bytes[Index(static_cast<int>(MemoryBucket::kGradients))] +=
          block.gradients * SizeOf(p.gradients).value();
      bytes[Index(static_cast<int>(MemoryBucket::kOptimizer))] +=
          block.optimizer * p.optimizer_bytes * (1 - plan_.offload.optimizer);
      bytes[Index(static_cast<int>(MemoryBucket::kKvCache))] += block.kv_cache_bytes;
    }
  }
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    out_.resident[Index(builder_.unit(stage, u))] = bytes;
  }
}

void StepEmitter::Memory(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket,
                         double bytes) {
  if (bytes == 0 || tasks.empty()) return;
  for (int u = 0; u < builder_.units_of(stage); ++u) {
    if (tasks[Index(u)] < 0) continue;
    out_.memory.push_back({tasks[Index(u)], at_end, builder_.unit(stage, u), bucket, bytes});
  }
}

bool StepEmitter::Ready(int stage, const Action& action) const {
  // The other half came before it on the same stage.
  if (action.kind == Kind::kBackwardWeight) return true;
  const int part = stages_[Index(stage)].chunks[Index(action.chunk)].part;
  const auto& inputs = action.kind == Kind::kForward ? forward_input_ : backward_input_;
  return !inputs[Index(part)][Index(action.micro_batch)].empty();
}

// Actions that run together wait for each other.
bool StepEmitter::NextReady(int stage) const {
  const StageState& state = stages_[Index(stage)];
  for (std::size_t i = state.next; i < state.actions.size(); ++i) {
    if (!Ready(stage, state.actions[i])) return false;
    if (!state.actions[i].with_next) return true;
  }
  return false;
}

// Kernels and collectives of all blocks; gathers, reductions and sends come on top.
std::size_t StepEmitter::ExpectedTasks() const {
  std::size_t tasks = 0;
  for (int s = 0; s < plan_.stages; ++s) {
    std::size_t of_stage = 0;
    for (const Action& action : stages_[Index(s)].actions) {
      const bool forward = action.kind == Kind::kForward;
      const bool weights = action.kind == Kind::kBackwardWeight;
      for (const LayerRef layer : LayersOf(s, action.chunk)) {
        const LoweredBlock& block = model_.of(layer);
        of_stage += forward   ? block.forward.steps.size() + block.gathers.size()
                    : weights ? block.backward_weight.steps.size() + block.reduces.size()
                              : block.recompute.steps.size() + block.backward.steps.size() +
                                    block.gathers.size() + block.reduces.size();
      }
      ++of_stage;  // a send
    }
    tasks += of_stage * Index(builder_.units_of(s));
  }
  return tasks;
}

Status StepEmitter::Emit() {
  builder_.Reserve(std::min(ExpectedTasks(), kMostReserved));
  bool moved = true;
  while (moved) {
    moved = false;
    for (int s = 0; s < plan_.stages; ++s) {
      while (NextReady(s)) {
        RETURN_IF_ERROR(RunNext(s));
        moved = true;
      }
    }
  }
  if (const std::string stuck = Stuck(); !stuck.empty()) {
    return InvalidInput(absl::StrCat("plan.schedule", plan_.schedule_table.empty() ? "" : "_table",
                                     ": deadlock:", stuck));
  }
  if (scenario_.workload.forward_only()) return absl::OkStatus();
  for (int s = 0; s < plan_.stages; ++s) RETURN_IF_ERROR(ReduceLate(s));
  RETURN_IF_ERROR(ShareGradients());
  for (int s = 0; s < plan_.stages; ++s) RETURN_IF_ERROR(Update(s));
  return absl::OkStatus();
}

std::string StepEmitter::Stuck() const {
  std::string stuck;
  for (int s = 0; s < plan_.stages; ++s) {
    const StageState& state = stages_[Index(s)];
    if (state.next == state.actions.size()) continue;
    const Action& a = state.actions[state.next];
    absl::StrAppend(&stuck, "\nstage ", s, " waits for the input of ", std::string(NameOf(a.kind)),
                    " of micro-batch ", a.micro_batch, " of part ",
                    state.chunks[Index(a.chunk)].part);
  }
  return stuck;
}

Status StepEmitter::RunNext(int stage) {
  StageState& state = stages_[Index(stage)];
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
  return absl::OkStatus();
}

// The input of a forward or backward, whole.
StatusOr<UnitTasks> StepEmitter::Received(int stage, int part, const Action& action) {
  const bool forward = action.kind == Kind::kForward;
  const UnitTasks& arrived =
      (forward ? forward_input_ : backward_input_)[Index(part)][Index(action.micro_batch)];
  const int from = forward ? part - 1 : part + 1;
  if (send_.gather < 0 || from < 0 || from >= static_cast<int>(plan_.parts.size()) ||
      plan_.order->PlaceOf(from, action.micro_batch, shape_).stage == stage) {
    return arrived;
  }
  return Transfer(
      {stage, {}, static_cast<int>(action.micro_batch), forward ? Pass::kForward : Pass::kBackward},
      send_name_, send_.gather, {&arrived});
}

StatusOr<StepEmitter::Chain> StepEmitter::Start(int stage, const Action& action) {
  Chain chain{stage, action, LayersOf(stage, action.chunk), 0, {}, {}, false};
  const int part = stages_[Index(stage)].chunks[Index(action.chunk)].part;
  if (action.kind != Kind::kForward) std::reverse(chain.layers.begin(), chain.layers.end());
  chain.value = None(stage);
  if (action.kind != Kind::kBackwardWeight) {
    ASSIGN_OR_RETURN(chain.value, Received(stage, part, action));
  }
  if (WaitsBetweenActions(plan_)) {
    HostWaitsFor(stage, chain.value);
    const std::vector<UnitTasks>& ends = stages_[Index(stage)].run_ends;
    if (!ends.empty()) HostWaitsFor(stage, ends.back());
  }
  return chain;
}

// to_transfer: stop where a kernel may have to wait for a collective.
Status StepEmitter::Advance(Chain* chain, bool to_transfer) {
  do {
    if (!chain->running) {
      const LayerRef layer = chain->layers[chain->at];
      ASSIGN_OR_RETURN(chain->run, Begin(chain->stage, layer, chain->action, chain->value));
      chain->running = true;
    }
    RETURN_IF_ERROR(EmitSteps(&chain->run, to_transfer));
    if (!chain->run.Done()) return absl::OkStatus();
    RETURN_IF_ERROR(End(chain->run, chain->action));
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
  const int part = stages_[Index(chain.stage)].chunks[Index(action.chunk)].part;
  const int next = forward ? part + 1 : part - 1;
  if (next < 0 || next >= static_cast<int>(plan_.parts.size())) return absl::OkStatus();
  const int to = plan_.order->PlaceOf(next, action.micro_batch, shape_).stage;
  UnitTasks* arrival =
      &(forward ? forward_input_ : backward_input_)[Index(next)][Index(action.micro_batch)];
  if (to == chain.stage) {
    *arrival = chain.value;
    return absl::OkStatus();
  }
  // What leaves a block may be its input unchanged; then the last compute task made it.
  const UnitTasks& end = stages_[Index(chain.stage)].run_ends.back();
  UnitTasks value = chain.value;
  for (std::size_t u = 0; u < value.size(); ++u) {
    if (value[u] < 0) value[u] = end[u];
  }
  const StepBuilder::Where where{chain.stage,
                                 {},
                                 static_cast<int>(action.micro_batch),
                                 forward ? Pass::kForward : Pass::kBackward};
  const UnitTasks issued = Issue(where, 1);
  std::vector<const UnitTasks*> after = {&value};
  if (!issued.empty()) after.push_back(&issued);
  *arrival =
      builder_.AddSend(where, to, send_name_, send_.send, forward ? "forward" : "backward", after);
  return absl::OkStatus();
}

// What a transfer waits for that may run `prefetch_layers` runs ahead.
UnitTasks StepEmitter::Ahead(int stage) const {
  const StageState& state = stages_[Index(stage)];
  const auto ahead = static_cast<std::ptrdiff_t>(state.run_ends.size()) - 1 - plan_.prefetch_layers;
  return ahead >= 0 ? state.run_ends[Index(ahead)] : None(stage);
}

// Brings the parameters of a block, `prefetch_layers` runs ahead of its use.
StatusOr<UnitTasks> StepEmitter::GatherParameters(int stage, LayerRef layer, const Action& action) {
  StageState& state = stages_[Index(stage)];
  const LoweredBlock& block = model_.of(layer);
  if (action.kind == Kind::kBackwardWeight) return None(stage);
  const bool first_time = action.kind == Kind::kForward && state.seen.insert(layer).second;
  const bool updated = first_time && plan_.overlap_parameters && !block.regathers.empty();
  const int from_host = block.host_parameters.from;
  if (block.gathers.empty() && !updated && from_host < 0) return None(stage);
  if (state.last_block == layer) return state.gathered;  // still there from the run before
  if (plan_.accumulate_unsharded && !first_time) return None(stage);
  const StepBuilder::Where where{stage, layer, static_cast<int>(action.micro_batch),
                                 action.kind == Kind::kForward ? Pass::kForward : Pass::kBackward};
  UnitTasks ready = Ahead(stage);
  if (from_host >= 0) {
    const UnitTasks* after[] = {&ready};
    ASSIGN_OR_RETURN(ready, builder_.AddTransfer(where, gather_name_, from_host, after));
    Memory(stage, ready, false, MemoryBucket::kUnsharded, block.host_parameters.bytes);
  }
  if (updated) {
    for (const int transfer : block.regathers) {
      ASSIGN_OR_RETURN(ready, Transfer(where, gather_name_, transfer, {&ready}));
    }
  }
  UnitTasks first;
  const double sharded = ShardedTransferLaunches(plan_);
  for (const int transfer : block.gathers) {
    ASSIGN_OR_RETURN(ready, Transfer(where, gather_name_, transfer, {&ready}, sharded));
    if (first.empty()) first = ready;
  }
  Memory(stage, first, false, MemoryBucket::kUnsharded, block.gathered_bytes);
  return block.gathers.empty() ? ready
                               : Copy(where, copy_out_name_, block.gather_copy_bytes, ready);
}

UnitTasks StepEmitter::Copy(const StepBuilder::Where& where, const std::string* name, double bytes,
                            const UnitTasks& after) {
  if (bytes == 0) return after;
  const UnitTasks* list[] = {&after};
  return builder_.AddCompute(where, TaskKind::kCompute, name, compute_.Elementwise(Bytes(bytes)),
                             list, Flops(), Bytes(bytes));
}

StatusOr<StepEmitter::Run> StepEmitter::Begin(int stage, LayerRef layer, const Action& action,
                                              const UnitTasks& input) {
  StageState& state = stages_[Index(stage)];
  const LoweredBlock& block = model_.of(layer);
  ASSIGN_OR_RETURN(state.gathered, GatherParameters(stage, layer, action));
  Run run;
  run.where = {stage, layer, static_cast<int>(action.micro_batch), Pass::kForward};
  run.block = &block;
  run.input = input;
  run.gathered = state.gathered;
  run.before = run.last = state.run_ends.empty() ? None(stage) : state.run_ends.back();
  const std::size_t in_flight = Index(plan_.reductions_in_flight);
  if (in_flight > 0 && EndsBackward(action.kind) && !block.reduces.empty() &&
      state.reduced.size() >= in_flight) {
    run.hold = state.reduced[state.reduced.size() - in_flight];
  }
  // What the weights' half gathers was there before it began.
  run.ahead = action.kind == Kind::kBackwardWeight;
  if (action.kind == Kind::kBackward || action.kind == Kind::kBackwardInput) {
    ASSIGN_OR_RETURN(run.loaded, LoadActivations(run));
  }
  switch (action.kind) {
    case Kind::kForward:
      run.passes = {{Pass::kForward, &block.forward}};
      break;
    case Kind::kBackward:
      run.passes = {{Pass::kRecompute, &block.recompute}, {Pass::kBackward, &block.backward}};
      break;
    case Kind::kBackwardInput:
      run.passes = {{Pass::kRecompute, &block.recompute}, {Pass::kBackward, &block.backward_input}};
      break;
    case Kind::kBackwardWeight:
      run.passes = {{Pass::kWeightGradients, &block.backward_weight}};
      break;
  }
  return run;
}

const std::vector<const std::string*>& StepEmitter::NamesOf(const BlockPass& pass) {
  std::vector<const std::string*>& names = names_[&pass];
  if (names.empty()) {
    for (const BlockStep& step : pass.steps) names.push_back(builder_.Intern(step.name));
  }
  return names;
}

Status StepEmitter::EmitSteps(Run* run, bool to_transfer) {
  bool transferred = false;
  while (!run->Done()) {
    const auto& [kind, pass] = run->passes[run->pass];
    if (run->step == 0) {
      run->made.assign(pass->steps.size(), {});
      run->busy_before = stages_[Index(run->where.stage)].host.busy;
      run->names = &NamesOf(*pass);
    }
    for (; run->step < pass->steps.size(); ++run->step) {
      const bool compute = pass->steps[run->step].transfer < 0;
      if (compute && transferred && to_transfer) return absl::OkStatus();
      transferred |= !compute;
      RETURN_IF_ERROR(EmitStep(run, *pass, kind, run->step));
    }
    run->output = pass->output >= 0 ? std::move(run->made[Index(pass->output)]) : run->input;
    run->step = 0;
    ++run->pass;
  }
  return absl::OkStatus();
}

Status StepEmitter::EmitStep(Run* run, const BlockPass& pass, Pass kind, std::size_t i) {
  const BlockStep& step = pass.steps[i];
  run->where.pass = kind;
  std::vector<const UnitTasks*> after;
  for (const int s : step.after) after.push_back(&run->made[Index(s)]);
  // Recomputation begins when the gradient is there (torch.utils.checkpoint, jax.checkpoint).
  const bool begins = kind == Pass::kRecompute ? step.after.empty() : step.needs_input;
  if (begins) after.push_back(&run->input);
  if (step.needs_parameters) after.push_back(&run->gathered);
  const std::string* name = (*run->names)[i];
  if (step.host_after >= 0) HostWaitsFor(run->where.stage, run->made[Index(step.host_after)]);
  const UnitTasks issued = Issue(run->where, step.host_ops, Behind(*run, pass, step));
  if (!issued.empty()) after.push_back(&issued);
  if (step.transfer < 0) {
    if (!run->loaded.empty()) after.push_back(&run->loaded);
    if (!run->hold.empty()) after.push_back(&run->hold);
    run->made[i] = builder_.AddCompute(run->where, TaskKind::kCompute, name, step.duration, after,
                                       step.flops, step.hbm_bytes);
    HostGainsBy(run->where.stage, step.duration);
    run->last = run->made[i];
    run->hold.clear();
    run->loaded.clear();  // later kernels follow this one
    out_.hardware_flops += static_cast<double>(builder_.DevicesOf(run->where.stage)) * step.flops;
  } else {
    // A collective on what an earlier block computed starts when that block is done.
    if (step.after.empty()) after.push_back(run->ahead ? &run->before : &run->last);
    ASSIGN_OR_RETURN(run->made[i], builder_.AddTransfer(run->where, name, step.transfer, after));
  }
  if (run->first.empty()) run->first = run->made[i];
  return absl::OkStatus();
}

// Memory that the run took and left, and the gradients that it made.
Status StepEmitter::End(const Run& run, const Action& action) {
  const int stage = run.where.stage;
  StageState& state = stages_[Index(stage)];
  const LoweredBlock& block = *run.block;
  const bool forward = action.kind == Kind::kForward;
  const auto take = [&](MemoryBucket bucket, double bytes) {
    Memory(stage, run.first, false, bucket, bytes);
  };
  const auto leave = [&](MemoryBucket bucket, double bytes) {
    Memory(stage, run.last, true, bucket, -bytes);
  };
  const double logits = block.kept_logits_bytes, used_logits = block.workspace_logits_bytes;
  const double kept = block.kept_bytes - logits;
  if (!run.first.empty()) {
    take(MemoryBucket::kWorkspace, block.workspace_bytes - used_logits);
    leave(MemoryBucket::kWorkspace, block.workspace_bytes - used_logits);
    take(MemoryBucket::kLogits, used_logits);
    leave(MemoryBucket::kLogits, used_logits);
  }
  if (forward) {
    take(MemoryBucket::kActivations, kept);
    take(MemoryBucket::kLogits, logits);
  } else if (action.kind == Kind::kBackwardWeight) {
    leave(MemoryBucket::kActivations, block.weight_half_bytes);
  } else {
    const bool half = action.kind == Kind::kBackwardInput;
    take(MemoryBucket::kActivations, block.recomputed_bytes);
    leave(MemoryBucket::kActivations,
          kept + block.recomputed_bytes - (half ? block.weight_half_bytes : 0));
    leave(MemoryBucket::kLogits, logits);
  }
  // The head's backward follows its forward at once; its parameters stay for it.
  const bool turns = forward && run.where.layer == LastBlock() && plan_.stages == 1 &&
                     !scenario_.workload.forward_only();
  if (!turns && !plan_.accumulate_unsharded && action.kind != Kind::kBackwardWeight) {
    const double gathered = block.gathers.empty() ? 0 : block.gathered_bytes;
    leave(MemoryBucket::kUnsharded, gathered + block.host_parameters.bytes);
  }
  state.last_block = turns ? run.where.layer : LayerRef();
  state.run_ends.push_back(run.last);
  if (forward) RETURN_IF_ERROR(StoreActivations(run));
  if (!EndsBackward(action.kind)) return absl::OkStatus();
  const Chunk& chunk = state.chunks[Index(action.chunk)];
  const bool last = chunk.last_backward == action.micro_batch;
  const UnitTasks made = last ? PassOverGradients(run.where, block, run.last) : run.last;
  return ReduceGradients(run.where, block, chunk.part, last, made);
}

}  // namespace meshstep
