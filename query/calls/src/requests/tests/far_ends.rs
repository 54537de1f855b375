//! Callees that do not tell of themselves.

use super::*;

#[test]
fn a_callee_outside_of_the_mesh_is_external() {
    let external = Request { destination: ("", "api.example"), ..CALL };
    let picture = picture(&[external, Request { destination: ("", ""), ..external }], &[]);
    assert_eq!(edges(&picture), ["default/a -> api.example 1/0", "default/a -> unknown@default/a 1/0"]);
    assert_eq!(kind(&picture, "api.example"), Some("external"));
    assert_eq!(kind(&picture, "unknown@default/a"), Some("external"));
}

#[test]
fn two_ports_of_an_outside_host_are_two_nodes() {
    let to = |authority| Request { destination: ("", "maps.example"), authority, ..CALL };
    check(
        &[to("maps.example:443"), to("maps.example"), to("maps.example:8443")],
        &["default/a -> maps.example 2/0", "default/a -> maps.example:8443 1/0"],
        &["maps.example 2/0", "maps.example:8443 1/0"],
    );
}

#[test]
fn a_listener_inside_envoy_is_nobodys_name() {
    let inside = |destination_address| Request { destination: ("", ""), destination_address, ..CALL };
    check(
        &[inside("envoy://connect_originate/10.0.0.9:80"), inside("envoy://main_internal/")],
        &["default/a -> 10.0.0.9 1/0", "default/a -> unknown@default/a 1/0"],
        &["10.0.0.9 1/0", "unknown@default/a 1/0"],
    );
}
