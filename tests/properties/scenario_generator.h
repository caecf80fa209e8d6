// Random scenarios that mostly are valid: models, networks, degrees in random order, micro-batches
// and policies that go together.

#ifndef MESHSTEP_TESTS_PROPERTIES_SCENARIO_GENERATOR_H_
#define MESHSTEP_TESTS_PROPERTIES_SCENARIO_GENERATOR_H_

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/check.h"

namespace meshstep {

class ScenarioGenerator {
 public:
  explicit ScenarioGenerator(unsigned seed) : random_(seed) {}

  v1::Scenario Next() {
    const Network network = OneOf(kNetworks);
    Degrees(network.devices);
    const std::string text = absl::StrCat("model { ", Model(), " } cluster { ", network.cluster,
                                          " } ", WorkloadAndPlan());
    v1::Scenario scenario;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &scenario)) << text;
    return scenario;
  }

  std::mt19937& random() { return random_; }

 private:
  struct Network {
    const char* cluster;
    int devices;
  };
  static constexpr Network kNetworks[] = {
      {"preset: 'dgx-h100' chips: 1", 1},
      {"preset: 'dgx-h100' chips: 8", 8},
      {"preset: 'dgx-h100' chips: 16", 16},
      {"preset: 'dgx-b200' chips: 32", 32},
      {"preset: 'aws-p4d' chips: 16", 16},
      {"preset: 'gcp-a3-high' chips: 32", 32},
      {"preset: 'mi300x-node' chips: 8", 8},
      {"preset: 'meta-24k-h100' chips: 32", 32},
      {"preset: 'tpu-v5e' slice: '4x4'", 16},
      {"preset: 'tpu-v5p' slice: '2x2x4'", 16},
      {"preset: 'tpu-v6e' slice: '2x4'", 8},
      {"preset: 'tpu-v7x' slice: '2x2x2'", 16},
      {"preset: 'tpu-v5e' slice: '2x4' slices: 2", 16},
      {"preset: 'dgx-h100' chips: 32 nodes { nics_per_node: 4 tiers { name: 'leaf' nodes: 2 "
       "oversubscription: 2 } tiers { name: 'spine' } }",
       32},
      {"chip { preset: 'h100-sxm' } chips: 4 graph { switches: 1 links { from: 0 to: 4 "
       "gbytes_per_s: 50 } links { from: 1 to: 4 gbytes_per_s: 50 } links { from: 2 to: 4 "
       "gbytes_per_s: 25 } links { from: 3 to: 4 gbytes_per_s: 50 } }",
       4}};

  std::size_t Pick(std::size_t n) { return static_cast<std::size_t>(random_()) % n; }
  template <class T, std::size_t N>
  T OneOf(const T (&values)[N]) {
    return values[Pick(N)];
  }

  // Spreads the primes of the devices over the degrees; tensor divides 8 heads.
  void Degrees(int devices) {
    data_ = fsdp_ = tensor_ = context_ = pipeline_ = 1;
    int* const degrees[] = {&data_, &fsdp_, &tensor_, &context_, &pipeline_};
    const int most[] = {1 << 20, 1 << 20, 8, 4, 4};
    for (int left = devices, prime = 2; left > 1;) {
      if (left % prime != 0) {
        ++prime;
        continue;
      }
      std::size_t d = Pick(5);
      if (*degrees[d] * prime > most[d]) d = Pick(2);
      *degrees[d] *= prime;
      left /= prime;
    }
  }

  std::string Model() {
    routed_ = Pick(3) == 0;
    std::string text =
        absl::StrCat("name: 'm' layers: ", pipeline_ * static_cast<int>(1 + Pick(3)),
                     " hidden: ", OneOf({256, 512, 1024}), " heads: 8 kv_heads: ", OneOf({8, 4, 2}),
                     " head_dim: 64 ffn: ", OneOf({1152, 2048}), " vocab: ", OneOf({1000, 32000}),
                     " gated_mlp: ", Pick(2), " tied_embeddings: ", Pick(2), " qk_norm: ", Pick(2),
                     " qkv_bias: ", Pick(2));
    if (routed_) {
      absl::StrAppend(&text, " moe { experts: 8 experts_per_token: 2 expert_ffn: 256 }");
    } else if (Pick(4) == 0) {
      absl::StrAppend(&text, " sliding_window: 100 global_layer_period: 2");
    }
    return text;
  }

  std::string WorkloadAndPlan() {
    const char* mode = OneOf({"TRAIN", "TRAIN", "TRAIN", "PREFILL", "DECODE"});
    const bool trains = std::string(mode) == "TRAIN";
    const int micro = static_cast<int>(1 + Pick(2));
    const int batch = data_ * fsdp_ * micro * pipeline_ * static_cast<int>(1 + Pick(2));
    std::vector<std::string> order = {"tensor", "context", "fsdp", "data", "pipeline"};
    std::shuffle(order.begin(), order.end(), random_);
    std::string plan = absl::StrCat("data: ", data_, " fsdp: ", fsdp_, " tensor: ", tensor_,
                                    " context: ", context_, " pipeline: ", pipeline_, " order: '",
                                    absl::StrJoin(order, ","), "' micro_batch_sequences: ", micro,
                                    " sequence_parallel: ", Pick(2));
    if (routed_ && Pick(2) == 0) {
      absl::StrAppend(&plan, " expert: ", std::min(8, data_ * fsdp_ * context_ * tensor_));
    }
    if (trains) {
      absl::StrAppend(&plan, " zero_stage: ", Pick(3), " recompute: '",
                      OneOf({"none", "selective", "matmuls", "full"}),
                      "' accumulate_unsharded: ", Pick(2), " overlap_gradients: ", Pick(2));
      if (pipeline_ > 1) {
        absl::StrAppend(&plan, " schedule: '", OneOf({"1f1b", "gpipe", "zb-h1"}), "'");
      }
    }
    if (Pick(3) == 0) {
      absl::StrAppend(&plan, " kernels { preset: '",
                      OneOf({"megatron-core", "torchtitan", "torchtitan-compiled"}), "' }");
    }
    return absl::StrCat("workload { mode: ", mode, " global_batch_sequences: ", batch,
                        " sequence_length: ", OneOf({256, 512}), " } plan { ", plan, " }");
  }

  template <class T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Pick(values.size())];
  }

  std::mt19937 random_;
  int data_ = 1, fsdp_ = 1, tensor_ = 1, context_ = 1, pipeline_ = 1;
  bool routed_ = false;
};

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_PROPERTIES_SCENARIO_GENERATOR_H_
