// Published models as configurations of their dimensions: how many parameters they have, and how
// many one token uses.

#ifndef MESHSTEP_TESTS_STRATEGIES_MODEL_HUGGING_FACE_PUBLISHED_H_
#define MESHSTEP_TESTS_STRATEGIES_MODEL_HUGGING_FACE_PUBLISHED_H_

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/hugging_face/load_hf_config.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {

struct Published {
  const char* name;   // on huggingface.co
  double parameters;  // elements of its weights
  double active;      // 0: all
  const char* config;
};

inline ParameterCounts CountsOf(const v1::Model& proto) {
  Diagnostics diagnostics;
  const Model model = LoadModel(proto, "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return ModelArithmetic(model, TokenShape()).Parameters();
}

inline void ExpectAsPublished(const Published& published) {
  v1::Model model;
  std::vector<std::string> assumptions;
  const Status status = ParseHfConfig("c", published.config, &model, &assumptions);
  ASSERT_TRUE(status.ok()) << published.name << ": " << status.ToString();
  const ParameterCounts counts = CountsOf(model);
  EXPECT_NEAR(counts.total / published.parameters, 1, 1e-3) << published.name;
  const double active = published.active > 0 ? published.active : published.parameters;
  EXPECT_NEAR(counts.active / active, 1, 1e-3) << published.name;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_STRATEGIES_MODEL_HUGGING_FACE_PUBLISHED_H_
