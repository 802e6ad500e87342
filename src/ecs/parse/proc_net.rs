//! Tables of `/proc/net`: routes and who listens (facts/ecs.md B.3, B.4).

use std::net::Ipv4Addr;

/// A route of `/proc/net/route`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The interface; `*` for one that leads nowhere.
    pub interface: String,
    /// Where to.
    pub destination: Ipv4Addr,
    /// By way of.
    pub gateway: Ipv4Addr,
    /// Which part of the destination counts.
    pub mask: Ipv4Addr,
    /// The route refuses what it matches (`RTF_REJECT`), or leads nowhere.
    pub rejects: bool,
}

impl Route {
    /// Says whether an address goes this way.
    pub fn takes(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask.to_bits() == self.destination.to_bits() & self.mask.to_bits()
    }
}

const RTF_REJECT: u32 = 0x200;

/// Reads `/proc/net/route`; addresses are hexadecimal, the lowest byte first.
pub fn routes(text: &str) -> Vec<Route> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| u32::from_str_radix(field, 16).ok());
        let address = |at: usize| number(at).map(|bits| Ipv4Addr::from_bits(bits.swap_bytes()));
        let interface = (*fields.first()?).to_owned();
        let rejects = interface == "*" || number(3)? & RTF_REJECT != 0;
        Some(Route { interface, destination: address(1)?, gateway: address(2)?, mask: address(7)?, rejects })
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// Chooses the route of an address: the longest mask wins.
pub fn route_to(routes: &[Route], address: Ipv4Addr) -> Option<&Route> {
    routes.iter().filter(|route| route.takes(address)).max_by_key(|route| route.mask.to_bits().count_ones())
}

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// It takes connections to 127.0.0.1.
    pub loopback: bool,
    /// The socket's inode, which `/proc/PID/fd` names.
    pub inode: u64,
}

const LISTEN: &str = "0A";

/// Reads the listening sockets of `/proc/net/tcp` or `/proc/net/tcp6`.
pub fn listeners(text: &str) -> Vec<Listener> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        if fields.get(3) != Some(&LISTEN) {
            return None;
        }
        let everything = address.bytes().all(|digit| digit == b'0');
        // 127.0.0.1, also as an IPv6 address that stands for it.
        let loopback = everything || address == "0100007F" || address.ends_with("FFFF00000100007F");
        Some(Listener { port: u16::from_str_radix(port, 16).ok()?, loopback, inode: fields.get(9)?.parse().ok()? })
    };
    text.lines().skip(1).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn routes_of_an_awsvpc_task() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t0101000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    ecs-eth0\t02AAFEA9\t01ACFEA9\t0007\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n\
                    *\tFEA9FEA9\t00000000\t0205\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let routes = routes(text);
        let endpoint = route_to(&routes, Ipv4Addr::new(169, 254, 170, 2)).unwrap();
        assert_eq!((endpoint.interface.as_str(), endpoint.gateway), ("ecs-eth0", Ipv4Addr::new(169, 254, 172, 1)));
        assert!(route_to(&routes, Ipv4Addr::new(169, 254, 169, 254)).unwrap().rejects);
        assert_eq!(route_to(&routes, Ipv4Addr::new(8, 8, 8, 8)).unwrap().interface, "eth0");
    }

    #[test]
    fn who_listens() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:C9DF 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 0 100 0 0 10 0\n\
             1: 0100007F:C9DF 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 1235 1 0 100 0 0 10 0\n\
             2: 0A00000A:C9DE 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1236 1 0 100 0 0 10 0\n";
        let expected = [Listener { port: 51679, loopback: true, inode: 1234 }, Listener { port: 51678, loopback: false, inode: 1236 }];
        assert_eq!(listeners(text), expected);
        let six = "h\n 0: 00000000000000000000000000000000:C9DE 0:0 0A 0:0 0:0 0 0 0 77 1\n";
        assert_eq!(listeners(six), [Listener { port: 51678, loopback: true, inode: 77 }]);
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in "([0-9A-F]{0,9}[ \t:\n*]|\\PC){0,80}") {
            let _ = (routes(&text), listeners(&text));
        }
    }
}
