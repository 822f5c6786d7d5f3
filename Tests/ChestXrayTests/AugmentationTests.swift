import Foundation
import Platform
import Testing

@testable import ChestXray

@Suite struct AugmentationTests {
  private func decisions(
    _ augmentation: Augmentation, count: Int, width: Int = 1000, height: Int = 800, epoch: Int = 0
  ) -> [Augmentation.Decision] {
    (0..<count).map { sample in
      var random = CounterRandom(seed: 123, purpose: .augmentation, epoch: epoch, sample: sample)
      return augmentation.decide(width: width, height: height, random: &random)
    }
  }

  @Test("seed, epoch and sample decide, and nothing else")
  func deterministic() {
    let first = decisions(.cropFlip(), count: 50)
    #expect(first == decisions(.cropFlip(), count: 50))
    #expect(first != decisions(.cropFlip(), count: 50, epoch: 1))
    #expect(Set(first.compactMap(\.box?.x)).count > 30)
  }

  /// 20 000 draws: a share's standard error is at most 0.0036, so 0.02 is more than five of them.
  @Test("parts have a uniform area, a log-uniform aspect and a uniform place; half of them are mirrored")
  func distribution() {
    let count = 20_000
    let found = decisions(.cropFlip(), count: count)
    let boxes = found.compactMap(\.box)
    #expect(boxes.count == count)
    #expect(boxes.allSatisfy { $0.isWithin(width: 1000, height: 800) })
    func share(_ matches: (PixelBox) -> Bool) -> Double { Double(boxes.filter(matches).count) / Double(count) }
    // Rounding to whole pixels moves areas and aspects of the smallest parts by half a per cent.
    #expect(boxes.allSatisfy { (0.0795...1.0).contains(Double($0.width * $0.height) / 800_000) })
    #expect(boxes.allSatisfy { (0.745...1.342).contains(Double($0.width) / Double($0.height)) })
    // Below an area of 0.54 nearly every try fits this image (its aspect is 1.25; a part of aspect 0.75 fits up to
    // 0.6).
    let small = boxes.filter { Double($0.width * $0.height) < 0.54 * 800_000 }
    let lower = small.filter { Double($0.width * $0.height) < 0.31 * 800_000 }
    #expect(abs(Double(lower.count) / Double(small.count) - 0.5) < 0.02)
    #expect(abs(Double(small.filter { $0.width > $0.height }.count) / Double(small.count) - 0.5) < 0.02)
    #expect(abs(share { 2 * $0.x < 1000 - $0.width } - share { 2 * $0.x > 1000 - $0.width }) < 0.04)
    #expect(abs(share { 2 * $0.y < 800 - $0.height } - share { 2 * $0.y > 800 - $0.height }) < 0.04)
    #expect(abs(Double(found.filter(\.isMirrored).count) / Double(count) - 0.5) < 0.02)
  }

  @Test("the least area is a parameter")
  func area() {
    let boxes = decisions(.cropFlip(area: 0.5...0.6), count: 200).compactMap(\.box)
    #expect(boxes.allSatisfy { (0.497...0.603).contains(Double($0.width * $0.height) / 800_000) })
  }

  @Test("where no part fits in ten tries, the largest central one of an allowed aspect is taken")
  func fallback() {
    // torchvision: in_ratio < 3/4 gives h = round(w / (3/4)); in_ratio > 4/3 gives w = round(h · 4/3).
    #expect(Augmentation.centralBox(width: 30, height: 400) == PixelBox(x: 0, y: 180, width: 30, height: 40))
    #expect(Augmentation.centralBox(width: 400, height: 30) == PixelBox(x: 180, y: 0, width: 40, height: 30))
    #expect(Augmentation.centralBox(width: 40, height: 40) == PixelBox(x: 0, y: 0, width: 40, height: 40))
    #expect(Augmentation.centralBox(width: 1, height: 1) == PixelBox(x: 0, y: 0, width: 1, height: 1))
    let boxes = decisions(.cropFlip(area: 0.9...1), count: 20, width: 10, height: 1000).compactMap(\.box)
    #expect(boxes.allSatisfy { $0 == PixelBox(x: 0, y: 493, width: 10, height: 13) })
  }

  @Test("flip mirrors half of the images and cuts none; none does nothing")
  func flip() {
    let found = decisions(.flip, count: 4000)
    #expect(found.allSatisfy { $0.box == nil })
    #expect(abs(Double(found.filter(\.isMirrored).count) / 4000 - 0.5) < 0.04)
    #expect(decisions(.none, count: 9).allSatisfy { $0 == Augmentation.Decision(box: nil, isMirrored: false) })
  }
}
