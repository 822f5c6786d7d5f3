import CKernels
import Platform
import Testing

/// What A is: how it is rounded, what its words are, and whose kernels a table has.
@Suite struct PrecisionTests {
  /// Ties above an even and an odd value of bf16 and what is next to them, both ends of the range and what rounds beyond it,
  /// what is not a number, and random numbers of all magnitudes; but none that is denormal, which the instruction that rounds
  /// takes for zero.
  static let numbers: [Float] = {
    let bits: [UInt32] = [
      0x3f80_7fff, 0x3f80_8000, 0x3f80_8001, 0x3f81_7fff, 0x3f81_8000, 0x3f81_8001, 0x3fff_7fff, 0x3fff_8000, 0,
      0x0080_0000, 0x0080_8000, 0x7f7f_0000, 0x7f7f_7fff, 0x7f7f_8000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001,
      0x7fc0_0000, 0x7fff_ffff,
    ]
    var random = CounterRandom(seed: 1, purpose: .weightInitialization)
    let others = (0..<493).map { _ in 0x0080_0000 + random.next32() % 0x7f00_0000 }
    return (bits + others).flatMap { [Float(bitPattern: $0), Float(bitPattern: $0 | 0x8000_0000)] }
  }()

  static func isSame(_ found: Float, _ expected: Float) -> Bool {
    found == expected || (found.isNaN && expected.isNaN)
  }

  @Test(arguments: KernelTable.all) func `what is written is rounded to the nearest, and read as it was written`(
    table: KernelTable
  ) {
    let (kernels, count) = (table.kernels, Self.numbers.count)
    let numbers = Self.numbers, expected = numbers.map { rounded($0, to: table.precision) }
    var arrays = GuardedArrays(
      activations: [count, count, count, count, 16 * 1024], floats: [count, 32, count, 9 * 1024],
      precision: table.precision, seed: 1)
    arrays.withPointers { a, f in
      for index in 0..<count {
        a.set(0, index, to: 0)
        (f[0][index], f[3][index]) = (numbers[index], numbers[index])
      }
      for lane in 0..<32 { f[1][lane] = 0 }
      let line = ck_line(constant: f[1], slope: f[1])
      withUnsafePointer(to: line) { kernels.packing.resolve_float(a[1], f[0], a[0], $0, count / 32) }
      for first in stride(from: 0, to: count, by: 32) {
        kernels.packing.normalize(a[2, at: first], a[0, at: first], f[1], f[0] + first, 1)
      }
      kernels.packing.interleave(a[3], f[0], 1, count, count)
      // The first place's weight is the first tap.
      kernels.winograd.transform_weights(a[4], 1024, f[3])
      kernels.packing.widen(f[2], a[1], count)
      for index in 0..<count {
        let value = expected[index], weight = weightPlace(index / 32, index % 32, table.precision)
        #expect(Self.isSame(a.value(1, index), value), "\(numbers[index])")
        #expect(Self.isSame(a.value(2, index), value < 0 ? 0 : value), "\(numbers[index]), normalised")
        #expect(Self.isSame(a.value(3, index), value), "\(numbers[index]), interleaved")
        #expect(Self.isSame(a.value(4, weight), value), "\(numbers[index]), as a weight")
        #expect(Self.isSame(f[2][index], value), "\(numbers[index]), widened")
      }
    }
    #expect(arrays.guardsAreIntact)
  }

  @Test(arguments: KernelTable.all) func `a word has two values of bf16, or the one that is there`(table: KernelTable) {
    for count in [1, 3, 4, 7, 8, 15, 16, 17, 33] {
      var arrays = GuardedArrays(
        activations: [count, count, 2 * count], floats: [], precision: table.precision, seed: 2)
      arrays.withPointers { a, _ in
        let before = a.values(2, 2 * count)
        table.kernels.packing.pair(a[2], a[0], a[1], count)
        let pairs = (0..<2 * count).map { a.value($0 % 2, $0 / 2) }
        #expect(a.values(2, 2 * count) == (table.precision == CK_BF16 ? pairs : before), "\(count)")
      }
      #expect(arrays.guardsAreIntact, "\(count)")
    }
  }

  @Test(arguments: KernelTable.all) func `pixels are paired by twos, also in place`(table: KernelTable) {
    for pixels in [1, 2, 3, 6, 7, 28] {
      let size = pixels * 32, room = (pixels + 1) / 2 * 64
      var arrays = GuardedArrays(activations: [room, room], floats: [], precision: table.precision, seed: 3)
      arrays.withPointers { a, _ in
        let x = a.values(0, room), before = a.values(1, room)
        let pairs = (0..<room).map { index in
          let from = index / 64 * 64 + index % 2 * 32 + index % 64 / 2
          return from < size ? x[from] : 0
        }
        let isBF16 = table.precision == CK_BF16
        table.kernels.packing.pair_pixels(a[1], a[0], pixels)
        #expect(a.values(0, room) == x, "\(pixels) pixels")
        #expect(a.values(1, room) == (isBF16 ? pairs : before), "\(pixels) pixels")
        table.kernels.packing.pair_pixels(a[0], a[0], pixels)
        #expect(a.values(0, room) == (isBF16 ? pairs : x), "\(pixels) pixels in place")
      }
      #expect(arrays.guardsAreIntact, "\(pixels) pixels")
    }
  }

  /// Weights of [output][input] and of [input][output], of whole blocks and of parts, and the stem's seven pixels of three
  /// channels.
  @Test(arguments: KernelTable.all) func `blocks of weights are packed as a convolution takes them`(table: KernelTable)
  {
    for (inputs, outputs, depth) in [(32, 32, 32), (5, 3, 32), (21, 32, 22), (7, 16, 8), (1, 1, 2)] {
      for (inputStride, outputStride) in [(1, inputs), (outputs, 1), (9, 9 * inputs + 4)] {
        let last = (inputs - 1) * inputStride + (outputs - 1) * outputStride
        var arrays = GuardedArrays(
          activations: [depth * 32], floats: [last + 1], precision: table.precision, seed: 4)
        arrays.withPointers { a, f in
          table.kernels.packing.pack_block(a[0], f[0], inputs, outputs, inputStride, outputStride, depth)
          let isPacked = (0..<depth * 32).allSatisfy { index in
            let (i, o) = (index / 32, index % 32)
            let weight = i < inputs && o < outputs ? f[0][i * inputStride + o * outputStride] : 0
            return a.value(0, weightPlace(i, o, table.precision)) == rounded(weight, to: table.precision)
          }
          #expect(isPacked, "\(inputs)×\(outputs) of \(depth), strides \(inputStride) and \(outputStride)")
        }
        #expect(arrays.guardsAreIntact, "\(inputs)×\(outputs) of \(depth)")
      }
    }
  }

  @Test(arguments: KernelTable.levels) func `a level that cannot run has the kernels of the best before it`(
    level: ck_level
  ) throws {
    let runnable = KernelTable.levels.filter { ck_can_run($0) != 0 }
    let best = try #require(runnable.last { $0.rawValue <= level.rawValue })
    for precision in [CK_FP32, CK_BF16] {
      #expect(Self.functions(level, precision) == Self.functions(best, precision))
      // Another level's kernels are others, but that AVX-512 with BF16 differs in bf16 only.
      for other in runnable where other != best {
        let isSame = precision == CK_FP32 && min(other.rawValue, best.rawValue) == CK_AVX512.rawValue
        #expect((Self.functions(level, precision) == Self.functions(other, precision)) == isSame)
      }
    }
    #expect(ck_best_level() == runnable.last)
  }

  /// A table is nothing but pointers to functions.
  static func functions(_ level: ck_level, _ precision: ck_precision) -> [UInt8] {
    withUnsafeBytes(of: ck_kernels_of(level, precision)) { Array($0) }
  }
}

/// Where input i and output o of a block of weights stand: [depth][32] of float, [depth / 2][32][2] of bf16.
private func weightPlace(_ i: Int, _ o: Int, _ precision: ck_precision) -> Int {
  precision == CK_FP32 ? i * 32 + o : (i / 2 * 32 + o) * 2 + i % 2
}
