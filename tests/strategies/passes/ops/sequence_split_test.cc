// Documents packed in a sequence: what each rank computes of them, and what a step does.

#include "strategies/passes/ops/sequence_split.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr double kT = 512, kN = 16, kH = 64;

v1::Scenario Proto(int devices, const std::string& plan) {
  return ParseScenario(absl::StrCat(
      "model { name: 'toy' layers: 2 hidden: 1024 heads: 16 kv_heads: 4 head_dim: 64 ffn: 4096 "
      "vocab: 4096 } cluster { preset: 'dgx-h100' chips: ",
      devices, " } workload { global_batch_sequences: 16 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 }"));
}

// Four documents of a quarter: a contiguous chunk each, so that no keys need go round and all ranks
// have the same to do; zigzag chunks hold halves of two.
TEST(SequenceSplit, DocumentsOfAQuarter) {
  const std::vector<DocumentLength> lengths{{16, 1}};
  const Packing packing(64, lengths);
  SequenceSplit split{.length = 64, .ranks = 4, .balanced = false, .packing = &packing};
  EXPECT_EQ(split.HopsNeeded(), 0);
  for (int rank = 0; rank < 4; ++rank) {
    const AttentionWork work = split.WithAll(rank);
    EXPECT_EQ(work.pairs, 16 * 16 / 2);
    EXPECT_EQ(work.keys, 16);
    EXPECT_EQ(work.queries, 16);
  }
  split.balanced = true;
  double all = 0;
  for (int rank = 0; rank < 4; ++rank) all += split.WithAll(rank).pairs;
  EXPECT_EQ(all, 4 * 16 * 16 / 2);
  // Rank 0 has the first half of the first document and the last half of the last one.
  EXPECT_EQ(split.WithAll(0).pairs, 8 * 8 / 2 + 8 * 8 / 2 + 8 * 8);
}

// Unequal documents: cut one by one, each rank has its share of every one.
TEST(SequenceSplit, EachDocumentIsShared) {
  const std::vector<DocumentLength> lengths{{48, 1}, {8, 2}};
  const Packing packing(64, lengths);
  SequenceSplit split{.length = 64, .ranks = 4, .packing = &packing};
  double most = 0, least = 64 * 64, all = 0;
  for (int rank = 0; rank < 4; ++rank) {
    const double pairs = split.WithAll(rank).pairs;
    most = std::max(most, pairs);
    least = std::min(least, pairs);
    all += pairs;
  }
  EXPECT_EQ(all, 48 * 48 / 2 + 2 * 8 * 8 / 2);
  EXPECT_GT(most, least);
  split.by_document = true;
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_DOUBLE_EQ(split.WithAll(rank).pairs, all / 4);
    double ring = 0;
    for (int step = 0; step < 4; ++step) ring += split.InRing(rank, step).pairs;
    EXPECT_DOUBLE_EQ(ring, all / 4);
  }
}

// FLOPs of attention fall with the square of the documents' length; the report's count and what the
// chips execute agree.
TEST(Documents, InAStep) {
  const auto flops = [](const std::string& workload, const std::string& plan) {
    v1::Scenario proto = Proto(4, plan);
    v1::Workload more;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(workload, &more)) << workload;
    proto.mutable_workload()->MergeFrom(more);
    const v1::SimulateReport report = StepOf(Load(proto)).report;
    EXPECT_NEAR(report.flops().hardware(), report.flops().model(), 1e-9 * report.flops().model())
        << workload << plan;
    return report.flops().model();
  };
  // Forward and twice that, of 2 layers: 2 x 2 N H FLOPs for a pair, half of the square.
  const auto pairs = [](double count) { return 3 * 2 * 16 * 4 * kN * kH * count; };
  for (const char* plan :
       {"fsdp: 4", "context: 4", "context: 4 context_method: 'all-gather'",
        "context: 4 context_method: 'ulysses'", "context: 4 context_splits_documents: true"}) {
    EXPECT_NEAR(flops("", plan) - flops("document_length: 128", plan),
                pairs(kT * kT / 2 - 4 * 128 * 128 / 2), 1e-9 * flops("", plan))
        << plan;
    EXPECT_EQ(flops("document_length: 512", plan), flops("", plan)) << plan;
    EXPECT_EQ(flops("documents { tokens: 128 weight: 3 }", plan),
              flops("document_length: 128", plan))
        << plan;
  }
}

TEST(Documents, AreChecked) {
  const auto error = [](const std::string& workload) {
    v1::Scenario proto = Proto(4, "fsdp: 4");
    v1::Workload more;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(workload, &more)) << workload;
    proto.mutable_workload()->MergeFrom(more);
    Diagnostics diagnostics;
    LoadScenario(proto, Catalog(), &diagnostics);
    return std::string(diagnostics.status().message());
  };
  using testing::HasSubstr;
  EXPECT_THAT(error("document_length: -1"),
              HasSubstr("workload.document_length: is -1, expected 1"));
  EXPECT_THAT(error("document_length: 1 documents { tokens: 1 }"),
              HasSubstr("workload.documents: is given beside document_length"));
  EXPECT_THAT(error("documents { tokens: 4 weight: 0 }"),
              HasSubstr("workload.documents[0].weight: is 0, expected above 0"));
  EXPECT_THAT(error("sequence_length: 100000000 document_length: 1"),
              HasSubstr("packs up to 100000000 documents in a sequence, expected at most 262144"));
  EXPECT_THAT(error("mode: DECODE document_length: 4"), HasSubstr("DECODE has a cache"));
}

}  // namespace
}  // namespace meshstep
