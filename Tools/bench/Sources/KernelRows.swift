import CKernels
import Engine
import Platform

extension Settings {
  /// What multiplying and adding in registers reaches on all threads; long enough, some 50 ms with AVX-512, for waking them not to count.
  func peak() -> Work {
    let (kernels, team, rounds) = (kernels, WorkerTeam(threads: threads), 1 << 22)
    let sums = Floats(64 * threads)
    let operations = Double(threads) * kernels.multiply_add(sums.base, rounds)
    return Work(unit: .gigaflops(operations: operations), subject: "\(kernelsName), threads: \(threads)") {
      team.run { part in _ = kernels.multiply_add(sums.base + 64 * part, rounds) }
    }
  }

  /// A kernel as the engine calls it in DenseNet-121's second block: 196 pixels, 8 slabs of 32 channels, a bottleneck of 4.
  func kernel(_ kernel: RowName.Kernel) throws -> Work {
    let (kernels, bench) = (kernels, KernelBench(precision))
    let call: (unit: Work.Unit, call: () -> Void) =
      switch kernel {
      case .pointwise: bench.pointwise(kernels)
      case .pointwiseGradient: bench.pointwiseGradient(kernels)
      case .weightGradient: bench.weightGradient(kernels)
      case .normalize: bench.normalize(kernels)
      case .winogradTransform: bench.winogradTransform(kernels)
      case .winogradProducts: bench.winogradProducts(kernels)
      case .winogradGather: bench.winogradGather(kernels)
      case .adam: bench.adam(kernels)
      case .bottleneck: bench.bottleneck(kernels)
      case .bottleneckInt8: try bench.bottleneckInt8(precision)
      case .growth: bench.growth(kernels)
      case .growthDirect: bench.growthDirect(kernels)
      }
    return Work(unit: call.unit, subject: "\(kernelsName), one thread") {
      withExtendedLifetime(bench) {}
      for _ in 0..<100 { call.call() }
    }
  }

  private var kernels: ck_kernels { CPUBackend(threads: 1, precision, level: level).kernels }
  private var kernelsName: String { "\(precision.rawValue) on \(level.title)" }
}

/// Memory for floats, in huge pages.
final class Floats {
  let base: UnsafeMutablePointer<Float>
  private let memory: HugeMemory

  init(_ count: Int) {
    memory = HugeMemory(bytes: count * MemoryLayout<Float>.stride)
    base = memory.base.bindMemory(to: Float.self, capacity: count)
  }
}

/// Arguments for one kernel's calls; each call's unit counts 100 of them.
final class KernelBench {
  static let calls = 100
  static let (pixels, slabs, outputs, lanes) = (196, 8, 4, Int(CK_LANES))
  static let (tiles, places) = (28, 16)
  static let mapSize = pixels * lanes

  let input = Floats(slabs * mapSize + 4 * 1024)
  let output = Floats(slabs * mapSize)
  let weights = Floats(places * slabs * 1024)
  let transformed = Floats(places * (outputs * tiles * lanes + 64))
  let products = Floats(places * (outputs * tiles * lanes + 64))
  let coefficients = Floats(8 * lanes)
  /// Where slabs begin: of pixels, and of a chunk of Winograd's tiles.
  let segments: UnsafeMutablePointer<Int>
  let chunkSegments: UnsafeMutablePointer<Int>

  /// Bytes of an activation, and values of a word.
  let size: Int
  let words: Int

  init(_ precision: Precision) {
    size = precision == .fp32 ? 4 : 2
    words = 4 / size
    var random = CounterRandom(seed: 1, purpose: .augmentation)
    for (floats, count) in [(input, Self.slabs * Self.mapSize), (weights, Self.places * Self.slabs * 1024)] {
      for index in 0..<count {
        let value = Float(random.uniform(-1, 1))
        // A word of two values of bf16 has another in its lower half.
        floats.base[index] = words == 1 ? value : Float(bitPattern: value.bitPattern & 0xffff_0000 | 0x3f00)
      }
    }
    segments = .allocate(capacity: Self.slabs)
    chunkSegments = .allocate(capacity: Self.outputs)
    for slab in 0..<Self.slabs { segments[slab] = slab * Self.mapSize }
    for slab in 0..<Self.outputs { chunkSegments[slab] = slab * Self.tiles * Self.lanes }
  }

  deinit {
    segments.deallocate()
    chunkSegments.deallocate()
  }

  func gigaflops(_ operations: Int) -> Work.Unit { .gigaflops(operations: Double(Self.calls * operations)) }

  /// The activation `index` of an array.
  func at(_ floats: Floats, _ index: Int) -> UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(floats.base) + index * size
  }

  func coefficient(_ index: Int) -> UnsafeMutablePointer<Float> { coefficients.base + index * Self.lanes }

  func tile(slabs: Int, output: Int) -> ck_tile {
    ck_tile(
      input: input.base, segment: segments, segments: slabs, depth: Self.lanes, stride: Self.lanes, input_pitch: 0,
      weights: at(weights, output * slabs * 1024), output: at(self.output, output * Self.mapSize), output_pitch: 0,
      rows: 1, width: Self.pixels, fetch: ck_fetch())
  }

  private var gate: ck_gate {
    ck_gate(
      x: input.base, mean: coefficient(0), scale: coefficient(1), shift: coefficient(4), sum: coefficient(2),
      product: coefficient(3))
  }

  func pointwise(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      gigaflops(2 * Self.pixels * Self.slabs * Self.outputs * 1024),
      { [self] in
        for index in 0..<Self.outputs {
          var tile = tile(slabs: Self.slabs, output: index)
          kernels.convolution.store_summed(&tile, coefficient(0), coefficient(1), coefficient(2))
        }
      }
    )
  }

  func pointwiseGradient(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      gigaflops(2 * Self.pixels * Self.outputs * 1024),
      { [self] in
        var (tile, gate) = (tile(slabs: Self.outputs, output: 0), gate)
        kernels.convolution.accumulate_gated(&tile, &gate)
      }
    )
  }

  func weightGradient(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      gigaflops(2 * Self.pixels * Self.outputs * 1024),
      { [self] in
        for index in 0..<Self.outputs {
          var product = ck_outer_product(
            input: input.base, input_pitch: 0, stride: Self.lanes, depth: Self.lanes,
            gradient: at(input, (index + 1) * Self.mapSize), gradient_pitch: 0, rows: 1, width: Self.pixels / words,
            weights: output.base + index * 1024, fetch: ck_fetch())
          kernels.accumulate_outer_product(&product)
        }
      }
    )
  }

  func normalize(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      .gigabytesPerSecond(bytes: Self.calls * 2 * Self.mapSize * size),
      { [self] in
        kernels.packing.normalize(output.base, input.base, coefficient(0), coefficient(1), Self.pixels)
      }
    )
  }

  static let placePitch = outputs * tiles * lanes + 64
  /// Of a map of 14 × 14 pixels.
  static let someTiles = ck_tiles(height: 14, width: 14, first: 7, count: tiles)

  /// Bytes of the pixels that come in and the places that go out, for one slab.
  func winogradTransform(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      .gigabytesPerSecond(bytes: Self.calls * (4 + Self.places) * Self.tiles * Self.lanes * size),
      { [self] in
        var tiles = Self.someTiles
        kernels.winograd.transform_normalized(
          transformed.base, Self.placePitch, input.base, coefficient(0), coefficient(1), &tiles)
      }
    )
  }

  func winogradProducts(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      gigaflops(2 * Self.places * Self.tiles * Self.outputs * 1024),
      { [self] in
        multiplyPlaces(kernels, tiles: Self.tiles)
      }
    )
  }

  /// The products of a chunk of tiles, for one slab of outputs.
  func multiplyPlaces(_ kernels: ck_kernels, tiles: Int) {
    for place in 0..<Self.places {
      var tile = ck_tile(
        input: at(transformed, place * Self.placePitch), segment: chunkSegments, segments: Self.outputs,
        depth: Self.lanes, stride: Self.lanes, input_pitch: 0, weights: at(weights, place * Self.outputs * 1024),
        output: products.base + place * Self.placePitch, output_pitch: 0, rows: 1, width: tiles, fetch: ck_fetch())
      kernels.convolution.store_float(&tile)
    }
  }

  func winogradGather(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      .gigabytesPerSecond(bytes: Self.calls * (4 * size + 4 * Self.places) * Self.tiles * Self.lanes),
      { [self] in
        var tiles = Self.someTiles
        kernels.winograd.gather_summed(
          output.base, products.base, Self.placePitch, coefficient(0), coefficient(1), coefficient(2), &tiles)
      }
    )
  }

  func adam(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    let count = Self.mapSize
    return (
      .gigabytesPerSecond(bytes: Self.calls * 7 * count * MemoryLayout<Float>.stride),
      { [self] in
        var step = ck_adam_step(
          gradient_scale: 1, decay: 0, shrink: 1, beta1: 0.9, beta2: 0.999, rest1: 0.1, rest2: 0.001, step_size: 1e-4,
          root: 1, epsilon: 1e-8)
        kernels.optimizer.adam(
          output.base, output.base + count, output.base + 2 * count, input.base, &step, count)
      }
    )
  }
}
