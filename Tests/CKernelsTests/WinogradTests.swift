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
    let sizes = [map.tilesSize, map.tilesSize, map.tilesSize, map.size, map.size, 32, 32]
    expectSameOfEveryLevel(sizes, seed: 1, "\(map.testDescription)") { kernels, arrays in
      let line = ck_line(constant: arrays[5], slope: arrays[6])
      map.with { tiles in
        kernels.winograd.transform_normalized(arrays[0], map.pitch, arrays[3], arrays[5], arrays[6], tiles)
        withUnsafePointer(to: line) {
          kernels.winograd.transform_resolved(arrays[1], map.pitch, arrays[3], arrays[4], $0, tiles)
          kernels.winograd.spread_resolved(arrays[2], map.pitch, arrays[3], arrays[4], $0, tiles)
        }
      }
    }
  }

  @Test(arguments: maps) func `every level gathers what the reference gathers`(map: Map) {
    let sizes = [map.size, map.size, map.size, map.tilesSize, map.size] + [Int](repeating: 32, count: 7)
    expectSameOfEveryLevel(sizes, seed: 2, "\(map.testDescription)") { kernels, arrays in
      map.with { tiles in
        kernels.winograd.gather(arrays[0], arrays[3], map.pitch, tiles)
        kernels.winograd.gather_summed(
          arrays[1], arrays[3], map.pitch, arrays[5], arrays[6], arrays[7], tiles)
        let gate = ck_gate(
          activation: arrays[4], activation_pitch: 0, x: arrays[4], mean: arrays[5], scale: arrays[8], sum: arrays[9],
          product: arrays[10])
        withUnsafePointer(to: gate) {
          kernels.winograd.gather_gated(arrays[2], arrays[3], map.pitch, arrays[11], $0, tiles)
        }
      }
    }
  }

  @Test(arguments: [1, 3]) func `every level transforms the reference's weights and gathers its gradients`(groups: Int)
  {
    let (block, pitch) = (32 * 32, 32 * 32 + 5)
    let size = 15 * pitch + block
    expectSameOfEveryLevel([size, 9 * block, 9 * block, groups * (size + 3)], seed: 3, "\(groups) groups") {
      kernels, arrays in
      kernels.winograd.transform_weights(arrays[0], pitch, arrays[1])
      kernels.winograd.gather_weights(arrays[2], arrays[3], pitch, groups, size + 3)
    }
  }

  /// The definition in Double, against the reference's transforms: an oracle that knows no Winograd. Sums of 9 products of values of
  /// order 1 err by some 2⁻²⁴; the transforms' sums of up to 16 terms add as much: 10⁻⁵ leaves a factor of ten.
  @Test(arguments: [Map(1, 1), Map(5, 4), Map(4, 7)]) func `transforms and products make a 3×3 convolution`(map: Map) {
    let kernels = ck_kernels_of(CK_REFERENCE)
    var arrays = GuardedArrays(
      [map.size, 9 * 1024, map.tilesSize, 16 * 1024, map.tilesSize, map.size, 32, 32], seed: 4, magnitude: 1)
    arrays.withPointers { a in
      for lane in 0..<32 { (a[6][lane], a[7][lane]) = (1, 0) }
      for index in 0..<map.size { a[0][index] = abs(a[0][index]) }
      let (x, taps) = (a[0], a[1])
      map.with { tiles in
        kernels.winograd.transform_normalized(a[2], map.pitch, x, a[6], a[7], tiles)
        kernels.winograd.transform_weights(a[3], 1024, taps)
        for place in 0..<16 {
          for tile in 0..<map.count {
            for k in 0..<32 {
              a[4][place * map.pitch + tile * 32 + k] = (0..<32).reduce(Float(0)) { sum, c in
                sum + a[2][place * map.pitch + tile * 32 + c] * a[3][place * 1024 + c * 32 + k]
              }
            }
          }
        }
        kernels.winograd.gather(a[5], a[4], map.pitch, tiles)
      }
      for row in 0..<map.height {
        for column in 0..<map.width {
          for k in 0..<32 {
            var sum = 0.0
            for tap in 0..<9 {
              let (y, z) = (row + tap / 3 - 1, column + tap % 3 - 1)
              guard y >= 0, y < map.height, z >= 0, z < map.width else { continue }
              for c in 0..<32 {
                sum += Double(x[(y * map.width + z) * 32 + c]) * Double(taps[tap * 1024 + c * 32 + k])
              }
            }
            let found = a[5][(row * map.width + column) * 32 + k]
            #expect(abs(Double(found) - sum) < 1e-5 * 17, "(\(row), \(column)), channel \(k): \(found), not \(sum)")
          }
        }
      }
    }
    #expect(arrays.guardsAreIntact)
  }
}
