import CKernels
import ChestXray
import Engine
import Foundation
import Platform

/// A class activation map drawn as a gray image.
public struct HeatmapImage: Sendable {
  /// Which pixels the picture has.
  public enum Size: String, Sendable, CaseIterable {
    /// The radiograph's own pixels; what the network did not see is 0.
    case original
    /// The network's input.
    case input
    /// One pixel a cell.
    case map
  }

  /// How activations become gray.
  public enum Scale: String, Sendable, CaseIterable {
    /// The map's minimum is black, its maximum white: for looking, not for comparing images.
    case map
    /// sigmoid(CAM + bias): comparable across images.
    case probability
  }

  public let width: Int
  public let height: Int
  /// 8 or 16.
  public let depth: Int
  /// A portable gray map: `P5`; 16-bit values are big-endian (netpbm, pgm(5)).
  public let pgm: [UInt8]
  /// Bytes of `pgm` before the samples.
  private let headerSize: Int

  /// `[height, width]`, a byte each, or two, the high one first.
  public var samples: ArraySlice<UInt8> { pgm[headerSize...] }

  /// The largest value.
  public var maximumValue: Int { (1 << depth) - 1 }

  /// `[height, width]`, 0 … `maximumValue`.
  public var pixels: [UInt16] {
    depth == 8
      ? samples.map(UInt16.init)
      : stride(from: headerSize, to: pgm.count, by: 2).map { UInt16(pgm[$0]) << 8 | UInt16(pgm[$0 + 1]) }
  }

  /// Draws `field`.
  ///
  /// - Parameters:
  ///   - bias: the classifier's, of this finding.
  ///   - depth: 8 or 16 bits.
  public init(_ field: ActivationField, bias: Float, scale: Scale, depth: Int) {
    precondition(depth == 8 || depth == 16)
    (width, height, self.depth) = (field.width, field.height, depth)
    let (bytes, maximumValue) = (depth / 8, Float((1 << depth) - 1))
    let (low, factor): (Float, Float) =
      switch scale {
      // A flat map is black.
      case .map where field.maximum <= field.minimum: (field.minimum, 0)
      case .map: (field.minimum, maximumValue / (field.maximum - field.minimum))
      case .probability: (0, maximumValue)
      }
    let kernels = ck_pixels_of(ck_best_level())
    let draw: (UnsafeMutablePointer<UInt8>, UnsafePointer<Float>, Float, Float, Int) -> Void =
      depth == 8 ? kernels.gray8 : kernels.gray16
    let header = Array("P5\n\(width) \(height)\n\((1 << depth) - 1)\n".utf8)
    headerSize = header.count
    let rowSize = width * bytes
    let (width, size) = (width, header.count + height * rowSize)
    pgm = [UInt8](unsafeUninitializedCapacity: size) { pgm, initialized in
      _ = pgm.update(fromContentsOf: header)
      guard let samples = pgm.baseAddress.map({ $0 + header.count }) else { return }
      field.forEachRow { y, row, seen in
        let out = samples + y * rowSize
        var drawn = 0
        for columns in seen {
          (out + drawn * bytes).initialize(repeating: 0, count: (columns.lowerBound - drawn) * bytes)
          if scale == .probability { for x in columns { row[x] = 1 / (1 + exp(-(row[x] + bias))) } }
          guard let row = row.baseAddress else { continue }
          draw(out + columns.lowerBound * bytes, row + columns.lowerBound, low, factor, columns.count)
          drawn = columns.upperBound
        }
        (out + drawn * bytes).initialize(repeating: 0, count: (width - drawn) * bytes)
      }
      initialized = size
    }
  }

  /// Draws the map of one crop.
  ///
  /// - Parameters:
  ///   - view: the radiograph's sides, and what the network saw of it.
  ///   - input: the side of the network's input, in pixels.
  ///   - depth: 8 or 16 bits.
  public init(_ map: ClassActivationMap, view: ImageView, input: Int, size: Size, scale: Scale, depth: Int) {
    let field: ActivationField =
      switch size {
      case .original: ActivationField(map, view: view)
      case .input: ActivationField(map, width: input, height: input)
      case .map: ActivationField(map, width: map.width, height: map.height)
      }
    self.init(field, bias: map.bias, scale: scale, depth: depth)
  }
}

extension ActivationField {
  /// A map that fills a picture.
  init(_ map: ClassActivationMap, width: Int, height: Int) {
    self.init([map], windows: [.whole(width: width, height: height)], width: width, height: height)
  }
}

extension ClassActivationMap {
  /// The centre of the largest cell, in pixels of the original radiograph.
  public func peakPosition(in window: CropWindow) -> (x: Double, y: Double) {
    let across = (Double(peak.column) + 0.5) / Double(width)
    return (
      window.x + (window.isMirrored ? 1 - across : across) * window.width,
      window.y + (Double(peak.row) + 0.5) / Double(height) * window.height
    )
  }
}
