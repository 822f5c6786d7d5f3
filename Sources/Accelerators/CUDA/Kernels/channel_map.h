// Which channel of the network a lane of a map is.
#pragma once
#include "device.h"

// −1: none, the lane pads a producer's channels to a multiple of 32.
DEVICE int channelOf(const channel_map& map, int lane) {
    if (lane < map.first_lanes) return lane < map.first ? lane : -1;
    const int producer = (lane - map.first_lanes) / map.growth_lanes, channel = lane - map.first_lanes - producer * map.growth_lanes;
    return channel < map.growth ? map.first + producer * map.growth + channel : -1;
}
