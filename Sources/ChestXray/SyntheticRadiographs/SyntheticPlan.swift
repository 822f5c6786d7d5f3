import Platform

/// Who is in a synthetic set, in which list, and with which findings. No pixels.
///
/// Nothing is left to luck that a small set could spoil: every list has its exact share of the images, and its findings
/// are dealt like cards, so that within a list each finding is planted equally often, give or take one.
struct SyntheticPlan: Sendable {
  enum Split: CaseIterable, Sendable {
    case train
    case validation
    case test
  }

  /// One image.
  struct Entry: Sendable {
    /// From 1.
    var patient: Int
    /// From 0; the patient's images follow each other.
    var followUp: Int
    /// Years, at this image.
    var age: Int
    var isMale: Bool
    /// From front to back (`AP`), as for the bedridden; else from back to front (`PA`).
    var isAnteroposterior: Bool
    var split: Split
    /// In the order of `Finding.allCases`.
    var findings: [Finding] = []

    /// `00000001_000.png`
    var name: String { "\(padded(patient, to: 8))_\(padded(followUp, to: 3)).png" }
  }

  /// In the order of their names.
  let entries: [Entry]

  /// How many findings images have: a pack that is dealt again and again. A fifth have none; the mean is 3.25, which
  /// makes each finding's prevalence 23 %.
  static let findingCounts = [0, 0, 0, 0, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6]

  init(images: Int, seed: UInt64) {
    precondition(SyntheticRadiographs.possibleImages.contains(images), "\(images) images")
    var entries = Self.patients(images: images, seed: seed)
    for (number, split) in Split.allCases.enumerated() {
      // Epoch 0 is the images', sample 0 the patients'.
      var random = CounterRandom(seed: seed, purpose: .syntheticRadiograph, epoch: 1, sample: 1 + number)
      let members = entries.indices.filter { entries[$0].split == split }
      for (member, findings) in zip(members, Self.deal(to: members.count, &random)) {
        entries[member].findings = findings
      }
    }
    self.entries = entries
  }

  /// The images without their findings: patients of one to four images, each wholly in one list.
  private static func patients(images: Int, seed: UInt64) -> [Entry] {
    var random = CounterRandom(seed: seed, purpose: .syntheticRadiograph, epoch: 1, sample: 0)
    let (validation, test) = (images / 10, images / 5)
    var left: [(split: Split, images: Int)] = [
      (.train, images - validation - test), (.validation, validation), (.test, test),
    ]
    var entries: [Entry] = []
    var patient = 0
    while entries.count < images {
      patient += 1
      // The list of a random image that is still to be given to someone.
      var draw = random.below(images - entries.count)
      let list = left.firstIndex { part in
        draw -= part.images
        return draw < 0
      }
      guard let list else { preconditionFailure("no list has images left") }
      let count = min(1 + random.below(4), left[list].images)
      left[list].images -= count
      let (age, isMale) = (18 + random.below(70), random.below(2) == 0)
      for followUp in 0..<count {
        entries.append(
          Entry(
            patient: patient, followUp: followUp, age: age + followUp / 2, isMale: isMale,
            isAnteroposterior: random.below(5) < 2, split: left[list].split))
      }
    }
    return entries
  }

  /// The findings of `images` images: numbers from the pack of `findingCounts`, findings from packs of all fourteen.
  private static func deal(to images: Int, _ random: inout CounterRandom) -> [[Finding]] {
    var counts: [Int] = []
    while counts.count < images { counts += random.permutation(findingCounts.count).map { findingCounts[$0] } }
    var pack: [Finding] = []
    return counts.prefix(images).map { count in
      var hand: [Finding] = []
      while hand.count < count {
        // A card that the hand has already waits for the next hand.
        if let card = pack.firstIndex(where: { !hand.contains($0) }) {
          hand.append(pack.remove(at: card))
        } else {
          pack += random.permutation(Finding.allCases.count).map { Finding.allCases[$0] }
        }
      }
      return Finding.allCases.filter(hand.contains)
    }
  }
}

/// `number` in decimal with zeros before it, at least `digits` long.
private func padded(_ number: Int, to digits: Int) -> String {
  let text = String(number)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
