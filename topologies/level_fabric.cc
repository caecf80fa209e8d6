#include "topologies/level_fabric.h"

#include <limits>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

constexpr std::size_t kLevels = kMaxLevels;

bool IsFixed(unsigned bits, std::size_t level) { return (bits >> level & 1u) != 0; }

}  // namespace

int LevelFabric::AddLevel(Level level) {
  CHECK_LT(levels_.size(), kLevels) << "too many levels ";
  levels_.push_back(std::move(level));
  return static_cast<int>(levels_.size()) - 1;
}

int LevelFabric::AddFamily(std::string name, int variants, const Coordinates& extents,
                           BytesPerSecond capacity, double usable) {
  std::int64_t size = variants;
  for (const int extent : extents) size *= extent;
  if (size == 0) return -1;
  CHECK_LE(links_ + size, std::numeric_limits<LinkId>::max()) << "too many links ";
  families_.push_back({std::move(name), variants, extents, capacity, links_,
                       static_cast<LinkId>(size), capacity / usable});
  links_ += static_cast<LinkId>(size);
  return families() - 1;
}

Coordinates LevelFabric::ExtentsFrom(int first) const {
  Coordinates extents;
  extents.fill(1);
  for (auto l = static_cast<std::size_t>(first); l < levels_.size(); ++l) {
    extents[l] = levels_[l].extent;
  }
  return extents;
}

Coordinates LevelFabric::CoordinatesOf(DeviceId device) const {
  Coordinates at{};
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    at[l] = device % levels_[l].extent;
    device /= levels_[l].extent;
  }
  return at;
}

DeviceId LevelFabric::DeviceAt(const Coordinates& at) const {
  DeviceId device = 0;
  for (std::size_t l = levels_.size(); l-- > 0;) device = device * levels_[l].extent + at[l];
  return device;
}

LinkId LevelFabric::LinkAt(int index, int variant, const Coordinates& at) const {
  const LinkFamily& f = family(index);
  LinkId link = 0;
  for (std::size_t l = levels_.size(); l-- > 0;) {
    if (f.extents[l] > 1) link = link * f.extents[l] + at[l];
  }
  return f.first + variant + f.variants * link;
}

const LinkFamily& LevelFabric::FamilyOf(LinkId link) const {
  std::size_t f = families_.size() - 1;
  while (families_[f].first > link) --f;
  return families_[f];
}

LevelFabric::LinkPlace LevelFabric::PlaceOf(LinkId link) const {
  const LinkFamily& f = FamilyOf(link);
  LinkId rest = link - f.first;
  LinkPlace place{static_cast<int>(&f - families_.data()), rest % f.variants, {}};
  rest /= f.variants;
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    place.at[l] = rest % f.extents[l];
    rest /= f.extents[l];
  }
  return place;
}

unsigned LevelFabric::FixedBits(const std::vector<bool>& fixed) const {
  CHECK_EQ(fixed.size(), levels_.size());
  unsigned bits = always_fixed_;
  for (std::size_t l = 0; l < fixed.size(); ++l) {
    if (fixed[l]) bits |= 1u << l;
  }
  if ((bits & tied_) != 0) bits |= tied_;
  return bits;
}

int LevelFabric::KeysOf(const LinkFamily& family, unsigned fixed) {
  int keys = family.variants;
  for (std::size_t l = 0; l < kLevels; ++l) {
    if (IsFixed(fixed, l)) keys *= family.extents[l];
  }
  return keys;
}

int LevelFabric::SymmetryKeys(const std::vector<bool>& fixed) const {
  const unsigned bits = FixedBits(fixed);
  int keys = 0;
  for (const LinkFamily& f : families_) keys += KeysOf(f, bits);
  return keys;
}

int LevelFabric::SymmetryKey(LinkId link, const std::vector<bool>& fixed) const {
  const unsigned bits = FixedBits(fixed);
  const LinkFamily& f = FamilyOf(link);
  int base = 0;
  for (const LinkFamily* before = families_.data(); before != &f; ++before) {
    base += KeysOf(*before, bits);
  }
  LinkId rest = link - f.first;
  int key = rest % f.variants;
  rest /= f.variants;
  int radix = f.variants;
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    if (IsFixed(bits, l)) {
      key += radix * (rest % f.extents[l]);
      radix *= f.extents[l];
    }
    rest /= f.extents[l];
  }
  return base + key;
}

int LevelFabric::FamilyOfKey(int* key, unsigned fixed) const {
  CHECK_GE(*key, 0);
  for (int f = 0; f < families(); ++f) {
    const int keys = KeysOf(family(f), fixed);
    if (*key < keys) return f;
    *key -= keys;
  }
  CHECK(false) << "no such key ";
  return -1;
}

std::int64_t LevelFabric::KeyCount(int key, const std::vector<bool>& fixed) const {
  const unsigned bits = FixedBits(fixed);
  const LinkFamily& f = family(FamilyOfKey(&key, bits));
  return f.size / KeysOf(f, bits);
}

LinkId LevelFabric::KeyExample(int key, const std::vector<bool>& fixed) const {
  const unsigned bits = FixedBits(fixed);
  const int index = FamilyOfKey(&key, bits);
  const LinkFamily& f = family(index);
  const int variant = key % f.variants;
  key /= f.variants;
  Coordinates at{};
  for (std::size_t l = 0; l < levels_.size(); ++l) {
    if (!IsFixed(bits, l)) continue;
    at[l] = key % f.extents[l];
    key /= f.extents[l];
  }
  return LinkAt(index, variant, at);
}

LinkId LevelFabric::Moved(LinkId link, std::span<const int> by) const {
  LinkPlace place = PlaceOf(link);
  const LinkFamily& f = family(place.family);
  for (std::size_t l = 0; l < by.size(); ++l) {
    place.at[l] = ((place.at[l] + by[l]) % f.extents[l] + f.extents[l]) % f.extents[l];
  }
  return LinkAt(place.family, place.variant, place.at);
}

}  // namespace meshstep
