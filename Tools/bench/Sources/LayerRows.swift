import ArgumentParser
import CInt8
import CKernels
import Engine
import Platform

/// Whole layers of DenseNet-121's third block, on tiles that are in the caches: a map of 14 × 14, 8 slabs in, a bottleneck of 4, one slab out.
/// Operations are counted by the definition of the convolution, so that ways to compute it can be compared.
extension KernelBench {
  /// norm1, ReLU, the 1×1 convolution with norm2 folded into it, ReLU.
  func bottleneck(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    let tileInput = Floats(Self.slabs * Self.mapSize)
    return (
      gigaflops(2 * Self.pixels * Self.slabs * Self.outputs * 1024),
      { [self] in
        for slab in 0..<Self.slabs {
          kernels.packing.normalize(
            at(tileInput, slab * Self.mapSize), at(input, slab * Self.mapSize), coefficient(0), coefficient(1),
            Self.pixels)
        }
        for index in 0..<Self.outputs {
          var tile = tile(slabs: Self.slabs, output: index)
          tile.input = UnsafeRawPointer(tileInput.base)
          kernels.convolution.store_rectified(&tile, coefficient(2))
        }
      }
    )
  }

  /// The same with inputs and weights of 8 bits, from bf16 to bf16.
  func bottleneckInt8(_ precision: Precision) throws -> (unit: Work.Unit, call: () -> Void) {
    guard precision == .bf16 else {
      throw ValidationError("kernel-bottleneck-int8 goes from bf16 to bf16: give --precision bf16.")
    }
    guard int8_can_run() != 0 else {
      throw ValidationError("kernel-bottleneck-int8 needs AVX512_VNNI and AVX512_BF16, which this processor lacks.")
    }
    let bytes = Floats(Self.slabs * Self.mapSize / 4)
    let tileInput = UnsafeMutableRawPointer(bytes.base).assumingMemoryBound(to: UInt8.self)
    let (maps, out) = (
      UnsafeMutableRawPointer(input.base).assumingMemoryBound(to: UInt16.self),
      UnsafeMutableRawPointer(output.base).assumingMemoryBound(to: UInt16.self)
    )
    let weights = UnsafeMutableRawPointer(weights.base).assumingMemoryBound(to: Int8.self)
    return (
      gigaflops(2 * Self.pixels * Self.slabs * Self.outputs * 1024),
      { [self] in
        withExtendedLifetime(bytes) {}
        for slab in 0..<Self.slabs {
          int8_normalize(
            tileInput + slab * Self.mapSize, maps + slab * Self.mapSize, coefficient(0), coefficient(1), Self.pixels)
        }
        for index in 0..<Self.outputs {
          int8_pointwise(
            out + index * Self.mapSize, tileInput, Self.slabs, Self.mapSize, weights + index * Self.slabs * 1024,
            coefficient(2), coefficient(3), Self.pixels)
        }
      }
    )
  }

  /// A map's tiles in two chunks.
  private static let chunks = [0..<28, 28..<49]

  /// norm2 and ReLU, the 3×3 convolution by Winograd's filtering.
  func growth(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    (
      gigaflops(2 * Self.pixels * 9 * Self.outputs * 1024),
      { [self] in
        for chunk in Self.chunks {
          var tiles = ck_tiles(height: 14, width: 14, first: chunk.lowerBound, count: chunk.count)
          for slab in 0..<Self.outputs {
            kernels.winograd.transform_normalized(
              at(transformed, slab * Self.tiles * Self.lanes), Self.placePitch, at(input, slab * Self.mapSize),
              coefficient(0), coefficient(1), &tiles)
          }
          multiplyPlaces(kernels, tiles: chunk.count)
          kernels.winograd.gather_summed(
            output.base, products.base, Self.placePitch, coefficient(0), coefficient(2), coefficient(3), &tiles)
        }
      }
    )
  }

  /// The same by its definition: norm2 and ReLU into a map with a border, then a sum over 9 taps.
  func growthDirect(_ kernels: ck_kernels) -> (unit: Work.Unit, call: () -> Void) {
    let (side, bordered) = (14, 16)
    let (pitch, slabSize) = (bordered * Self.lanes, bordered * bordered * Self.lanes)
    let halo = Floats(Self.outputs * slabSize)
    let taps = UnsafeMutablePointer<Int>.allocate(capacity: 9 * Self.outputs)
    for slab in 0..<Self.outputs {
      for tap in 0..<9 { taps[9 * slab + tap] = slab * slabSize + tap / 3 * pitch + tap % 3 * Self.lanes }
    }
    let weights = Floats(9 * Self.outputs * 1024)
    for index in 0..<9 * Self.outputs * 1024 { weights.base[index] = self.weights.base[index] }
    return (
      gigaflops(2 * Self.pixels * 9 * Self.outputs * 1024),
      { [self] in
        for slab in 0..<Self.outputs {
          for row in 0..<side {
            kernels.packing.normalize(
              at(halo, slab * slabSize + (row + 1) * pitch + Self.lanes),
              at(input, slab * Self.mapSize + row * side * Self.lanes), coefficient(0), coefficient(1), side)
          }
        }
        var tile = ck_tile(
          input: halo.base, segment: taps, segments: 9 * Self.outputs, depth: Self.lanes, stride: Self.lanes,
          input_pitch: pitch, weights: weights.base, output: output.base, output_pitch: side * Self.lanes, rows: side,
          width: side, fetch: ck_fetch())
        kernels.convolution.store_summed(&tile, coefficient(0), coefficient(2), coefficient(3))
      }
    )
  }
}
