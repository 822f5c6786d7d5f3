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

  /// How values become gray.
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
  /// `[height, width]`, 0 … 255 or 0 … 65535.
  public let pixels: [UInt16]

  /// The largest value.
  public var maximumValue: Int { (1 << depth) - 1 }

  /// Draws `map`.
  ///
  /// - Parameters:
  ///   - view: the radiograph's sides, and what the network saw of it.
  ///   - input: the side of the network's input, in pixels.
  ///   - depth: 8 or 16 bits.
  public init(
    _ map: ClassActivationMap, view: ImageView, input: Int, size: Size, scale: Scale, depth: Int
  ) {
    precondition(depth == 8 || depth == 16)
    // Where the map's left and top edge and its extent lie, in pixels of the picture.
    let frame: CropWindow
    switch size {
    case .original:
      (width, height) = (view.width, view.height)
      frame = view.window
    case .input:
      (width, height) = (input, input)
      frame = CropWindow(x: 0, y: 0, width: Double(input), height: Double(input))
    case .map:
      (width, height) = (map.width, map.height)
      frame = CropWindow(x: 0, y: 0, width: Double(map.width), height: Double(map.height))
    }
    self.depth = depth
    let maximumValue = Double((1 << depth) - 1)
    let gray = HeatmapImage.gray(map, scale: scale)
    let columns = (0..<width).map { Position($0, start: frame.x, extent: frame.width, cells: map.width) }
    let rows = (0..<height).map { Position($0, start: frame.y, extent: frame.height, cells: map.height) }
    var pixels: [UInt16] = []
    pixels.reserveCapacity(width * height)
    for row in rows {
      for column in columns {
        guard let row, let column else {
          pixels.append(0)
          continue
        }
        let above = column.mix(gray[row.first * map.width + column.first], gray[row.first * map.width + column.second])
        let below = column.mix(
          gray[row.second * map.width + column.first], gray[row.second * map.width + column.second])
        pixels.append(UInt16((row.mix(above, below) * maximumValue).rounded()))
      }
    }
    self.pixels = pixels
  }

  /// The map's cells as 0 … 1.
  private static func gray(_ map: ClassActivationMap, scale: Scale) -> [Double] {
    switch scale {
    case .map:
      let range = Double(map.maximum) - Double(map.minimum)
      return map.values.map { range > 0 ? (Double($0) - Double(map.minimum)) / range : 0 }
    case .probability:
      return map.values.map { sigmoid(Double($0) + Double(map.bias)) }
    }
  }

  /// A portable gray map: `P5`; 16-bit values are big-endian (netpbm, pgm(5)).
  public var pgm: [UInt8] {
    var bytes = Array("P5\n\(width) \(height)\n\(maximumValue)\n".utf8)
    bytes.reserveCapacity(bytes.count + pixels.count * depth / 8)
    for pixel in pixels {
      if depth == 16 { bytes.append(UInt8(pixel >> 8)) }
      bytes.append(UInt8(truncatingIfNeeded: pixel))
    }
    return bytes
  }

  /// Between which two cells a pixel's centre lies, on one axis.
  ///
  /// Cell i covers [i, i + 1) of the map, so its value stands at i + ½; between centres it is linear, beyond the outer ones it
  /// stays (what PyTorch calls `align_corners=False`).
  private struct Position {
    let first: Int
    let second: Int
    let share: Double

    /// Nil where the centre of `pixel` is outside the map's frame.
    init?(_ pixel: Int, start: Double, extent: Double, cells: Int) {
      let inFrame = (Double(pixel) + 0.5 - start) / extent
      guard inFrame >= 0, inFrame < 1 else { return nil }
      let position = min(max(inFrame * Double(cells) - 0.5, 0), Double(cells - 1))
      first = Int(position)
      second = min(first + 1, cells - 1)
      share = position - Double(first)
    }

    func mix(_ a: Double, _ b: Double) -> Double { a + (b - a) * share }
  }
}

extension ClassActivationMap {
  /// The centre of the largest cell, in pixels of the original radiograph.
  public func peakPosition(in window: CropWindow) -> (x: Double, y: Double) {
    (
      window.x + (Double(peak.column) + 0.5) / Double(width) * window.width,
      window.y + (Double(peak.row) + 0.5) / Double(height) * window.height
    )
  }
}
