import CKernels
import Testing

@Suite struct WinogradTests {
  struct Map: CustomTestStringConvertible {
    let height: Int
    let width: Int
    var first = 0
    var count: Int
    var testDescription: String { "tiles \(first) ..< \(first + count) of \(height)×\(width)" }

    init(_ height: Int, _ width: Int, _ tiles: Range<Int>? = nil) {
      self.height = height
      self.width = width
      first = tiles?.lowerBound ?? 0
      count = tiles?.count ?? ((height + 1) / 2 * ((width + 1) / 2))
    }

    var size: Int { height * width * 32 }
    /// Floats from place to place, more than the tiles take.
    var pitch: Int { count * 32 + 7 }
    var tilesSize: Int { 15 * pitch + count * 32 }

    func with(_ body: (UnsafePointer<ck_tiles>) -> Void) {
      withUnsafePointer(to: ck_tiles(height: height, width: width, first: first, count: count), body)
    }
  }

  /// One pixel, one row, one column, odd and even sides, tiles from the middle of a row to the middle of another.
  static let maps = [
    Map(1, 1), Map(1, 5), Map(4, 1), Map(2, 2), Map(3, 3), Map(4, 4), Map(7, 7), Map(6, 9), Map(8, 6, 1..<11),
    Map(7, 8, 5..<6), Map(5, 14, 9..<21),
  ]

  @Test(arguments: maps) func `every level transforms what the reference transforms`(map: Map) {
    expectSameOfEveryLevel(
      activations: [map.tilesSize, map.tilesSize, map.tilesSize, map.size], floats: [map.size, 32, 32], seed: 1,
      "\(map.testDescription)"
    ) { kernels, a, f in
      let line = ck_line(constant: f[1], slope: f[2])
      map.with { tiles in
        kernels.winograd.transform_normalized(a[0], map.pitch, a[3], f[1], f[2], tiles)
        withUnsafePointer(to: line) {
          kernels.winograd.transform_resolved(a[1], map.pitch, f[0], a[3], $0, tiles)
          kernels.winograd.spread_resolved(a[2], map.pitch, f[0], a[3], $0, tiles)
        }
      }
    }
  }

  @Test(arguments: maps) func `every level gathers what the reference gathers`(map: Map) {
    expectSameOfEveryLevel(
      activations: [map.size, map.size, map.size, map.size],
      floats: [map.tilesSize] + [Int](repeating: 32, count: 8), seed: 2, "\(map.testDescription)"
    ) { kernels, a, f in
      map.with { tiles in
        kernels.winograd.gather(a[0], f[0], map.pitch, tiles)
        kernels.winograd.gather_summed(a[1], f[0], map.pitch, f[1], f[2], f[3], tiles)
        let gate = ck_gate(x: a[3], mean: f[4], scale: f[5], shift: f[6], sum: f[7], product: f[8])
        withUnsafePointer(to: gate) { kernels.winograd.gather_gated(a[2], f[0], map.pitch, $0, tiles) }
      }
    }
  }

  @Test(arguments: [1, 3]) func `every level transforms the reference's weights and gathers its gradients`(groups: Int)
  {
    let (block, pitch) = (32 * 32, 32 * 32 + 5)
    let size = 15 * pitch + block
    expectSameOfEveryLevel(
      activations: [size], floats: [9 * block, 9 * block, groups * (size + 3)], seed: 3, "\(groups) groups"
    ) { kernels, a, f in
      kernels.winograd.transform_weights(a[0], pitch, f[0])
      kernels.winograd.gather_weights(f[1], f[2], pitch, groups, size + 3)
    }
  }

  /// The definition in Double, against transforms and products: an oracle that knows no Winograd.
  ///
  /// In float, sums of 9 products of values of order 1 err by some 2⁻²⁴; the transforms' sums of up to 16 terms add as much:
  /// 10⁻⁵ of an output's spread √(9 · 32) = 17 leaves a factor of ten.
  ///
  /// In bf16, an output is a sum over 9 places and 32 channels of products of two values that were rounded, each by at most 2⁻⁸
  /// of itself. Of inputs |n|, n normal, the place that adds four has the mean square 4 + 12 · 2/π = 11.6, those that also
  /// subtract have 4 − 4 · 2/π = 1.5; weights have ¾ · ¾ in the first, (1 + ¾ + ¾)² = 6.25 in all nine. So the products' squares
  /// sum to 32 · (0.56 · 11.6 + 5.69 · 1.5) = 480, and the errors' spread is below 2⁻⁸ · √(2 · 480) = 31 · 2⁻⁸: four times that
  /// is allowed, and the output's own rounding.
  @Test(arguments: KernelTable.all, [Map(1, 1), Map(5, 4), Map(4, 7)])
  func `transforms and products make a 3×3 convolution`(table: KernelTable, map: Map) {
    let (kernels, isBF16) = (table.kernels, table.precision == CK_BF16)
    var arrays = GuardedArrays(
      activations: [map.size, map.tilesSize, 16 * 1024, map.size], floats: [9 * 1024, map.tilesSize, 32, 32],
      precision: table.precision, seed: 4)
    arrays.withPointers { a, f in
      for lane in 0..<32 { (f[2][lane], f[3][lane]) = (1, 0) }
      for index in 0..<map.size { a.set(0, index, to: abs(a.value(0, index))) }
      map.with { tiles in
        kernels.winograd.transform_normalized(a[1], map.pitch, a[0], f[2], f[3], tiles)
        kernels.winograd.transform_weights(a[2], 1024, f[0])
        for place in 0..<16 {
          withUnsafePointer(to: 0) { segment in
            let product = ck_tile(
              input: a[1, at: place * map.pitch], segment: segment, segments: 1, depth: 32, stride: 32, input_pitch: 0,
              weights: a[2, at: place * 1024], output: f[1] + place * map.pitch, output_pitch: 0, rows: 1,
              width: map.count, fetch: ck_fetch())
            withUnsafePointer(to: product) { kernels.convolution.store_float($0) }
          }
        }
        kernels.winograd.gather(a[3], f[1], map.pitch, tiles)
      }
      for row in 0..<map.height {
        for column in 0..<map.width {
          for k in 0..<32 {
            var sum = 0.0
            for tap in 0..<9 {
              let (y, z) = (row + tap / 3 - 1, column + tap % 3 - 1)
              guard y >= 0, y < map.height, z >= 0, z < map.width else { continue }
              for c in 0..<32 {
                sum += Double(a.value(0, (y * map.width + z) * 32 + c)) * Double(f[0][tap * 1024 + c * 32 + k])
              }
            }
            let found = a.value(3, (row * map.width + column) * 32 + k)
            let allowed = isBF16 ? 0x1p-8 * (4 * 31 + abs(sum)) : 1e-5 * 17
            #expect(abs(Double(found) - sum) < allowed, "(\(row), \(column)), channel \(k): \(found), not \(sum)")
          }
        }
      }
    }
    #expect(arrays.guardsAreIntact)
  }
}
