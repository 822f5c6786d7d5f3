import Platform
import Testing

@testable import Engine

@Suite struct MemoryPlanTests {
  @Test func `buffers that live at once lie apart, others may share`() {
    var plan = MemoryPlan()
    let first = plan.add(400, during: 0...3)
    let second = plan.add(200, during: 3...5)
    let third = plan.add(400, during: 4...9)
    let layout = plan.layout()
    #expect(layout[first] == layout[third])
    #expect(layout[second] >= layout[first] + 400)
    #expect(layout.size < 1000)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>) func `no two buffers that live at once overlap`(seed: UInt64) {
    var random = CounterRandom(seed: seed, purpose: .shuffle)
    var plan = MemoryPlan()
    let requests = (0..<40).map { _ in
      let start = random.below(30)
      return (size: 1 + random.below(1000), life: start...start + random.below(10))
    }
    let buffers = requests.map { plan.add($0.size, during: $0.life) }
    let layout = plan.layout()
    for (index, mine) in requests.enumerated() {
      let place = layout[buffers[index]]..<layout[buffers[index]] + mine.size
      #expect(place.upperBound <= layout.size)
      for (other, theirs) in requests.enumerated() where other != index && theirs.life.overlaps(mine.life) {
        #expect(!place.overlaps(layout[buffers[other]]..<layout[buffers[other]] + theirs.size), "seed \(seed)")
      }
    }
    #expect(layout.size < requests.reduce(0) { $0 + $1.size })
  }

  /// DenseNet-121 at 224, a batch of 16, in millions of values. At the end of the way forward all slabs (23.3), bottlenecks (69.0), the stem's
  /// output (12.8) and the images (2.5) live together; at the third transition's way back the last block's bottlenecks (1.6) are no
  /// more, but the gradients of both blocks (0.8 and 3.2) are. With bottlenecks made again the fullest moments are the way back through the
  /// first block (its slabs 12.8, one bottleneck and its gradient 6.4 each, the stem's output, the images; its gradients 12.8) and the first
  /// transition's (both blocks' slabs 19.2, the stem's output, the images; both blocks' gradients 19.2). Gradients of slabs are floats in
  /// either precision. A greedy layout may leave some per cent in gaps.
  @Test(arguments: Precision.allCases) func `a training step takes what it has to keep at its fullest moment`(
    precision: Precision
  ) throws {
    let whole = try Plan(ConformanceCase.densenet121, mode: .training, batchSize: 16, height: 224, width: 224)
    let (plan, size) = (CPUPlan(whole, precision), Double(precision.size))
    func megabytes(_ recomputedBlocks: Int) -> Double {
      Double(TrainingMemory.size(plan, images: 16, precision, recomputedBlocks: recomputedBlocks)) / 1e6
    }
    let kept = max(107.7 * size, 106.1 * size + 4.0 * 4)
    let recomputed = max((12.8 + 12.8 + 12.8 + 2.5) * size + 12.8 * 4, (19.2 + 12.8 + 2.5) * size + 19.2 * 4)
    #expect((kept..<1.03 * kept).contains(megabytes(0)))
    #expect((0.99 * recomputed..<1.07 * recomputed).contains(megabytes(2)))
    // Making the small blocks' bottlenecks again saves nothing any more.
    #expect(megabytes(4) > 0.98 * megabytes(2))
  }
}
