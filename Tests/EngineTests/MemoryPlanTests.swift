import Platform
import Testing

@testable import Engine

@Suite struct MemoryPlanTests {
  @Test func `buffers that live at once lie apart, others may share`() {
    var plan = MemoryPlan()
    let first = plan.add(100, during: 0...3)
    let second = plan.add(50, during: 3...5)
    let third = plan.add(100, during: 4...9)
    let layout = plan.layout()
    #expect(layout[first] == layout[third])
    #expect(layout[second] >= layout[first] + 100)
    #expect(layout.size < 250)
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

  /// DenseNet-121 at 224, a batch of 16, in millions of floats. All slabs (23.3), bottlenecks (69.0), the stem's output (12.8) and the
  /// images (2.5) live together at the end of the way forward: 107.7, and nothing else need be beside them. With bottlenecks made again
  /// the way back through the first block is the fullest: its slabs and their gradients (12.8 each), one bottleneck and its gradient (6.4 each),
  /// the stem's output, the images: 53.9. A greedy layout may leave some per cent in gaps.
  @Test func `a training step takes what it has to keep at its fullest moment`() throws {
    let plan = CPUPlan(try Plan(ConformanceCase.densenet121, mode: .training, batchSize: 16, height: 224, width: 224))
    func size(_ recomputedBlocks: Int) -> Double {
      Double(TrainingMemory.size(plan, images: 16, recomputedBlocks: recomputedBlocks)) / 1e6
    }
    #expect((107.7..<1.03 * 107.7).contains(size(0)))
    #expect((53.9..<1.07 * 53.9).contains(size(2)))
    // Making the small blocks' bottlenecks again saves nothing any more.
    #expect(size(4) > 0.98 * size(2))
  }
}
