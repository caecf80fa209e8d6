// A measured training step as a scenario: the one mapping from the columns of training_runs.csv and
// training_runs_one_node.csv.
//
//   chip, chips, chips_per_node, interconnect     cluster (sim/validation/run_cluster.h)
//   layers, hidden, ffn, heads, kv_heads, head_dim, vocab, gated, attn, experts, topk, moe_ffn,
//   shared_experts, dense_layers                  model; no ffn: 4 hidden
//   seq, gbs                                      workload
//   tp, pp, vp, cp, ep, dp, mbs, dp_sharding      degrees; devices / (tp pp cp) if dp is not given;
//                                                 FSDP over the group that dp_sharding names;
//                                                 with experts also ep
//   seq_parallel, recompute, overlap, precision   the plan's fields of those names; recompute by
//                                                 the table of sim/validation/run_recompute.cc
//   iter_time_s                                   measured; else tokens_per_s_per_chip, else
//                                                 tflops_per_chip, else mfu_pct, by the family's
//                                                 convention of counting FLOPs
//
// What a row does not state is its framework's default. Nothing else sets a field.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_SCENARIO_H_
#define MESHSTEP_SIM_VALIDATION_RUN_SCENARIO_H_

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/csv.h"
#include "sim/base/status.h"
#include "sim/validation/run_row.h"

namespace meshstep {

// What rows say in words only: interconnects.csv, expert_defaults.csv and library_workspaces.csv of
// tests/validation.
struct RunTables {
  CsvTable interconnects, experts, workspaces;
};

// Error: why the row cannot be expressed.
StatusOr<v1::Scenario> ScenarioOf(const RunRow& row, const RunTables& tables);

// Seconds that one step took. `flops` (of the simulated step) turns a rate of FLOPs into a time; 0
// if the row says nothing that gives a time.
double MeasuredSeconds(const RunRow& row, const v1::FlopCounts& flops,
                       double datasheet_flops_per_s);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_SCENARIO_H_
