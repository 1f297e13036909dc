//! `#[derive(Module)]`.

use crate::fields::{fields_of, float_parameter, members, mentions_parameter};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DeriveInput, Fields, LitStr, Result, WherePredicate, parse_quote};

/// How one field is visited.
enum Visit {
    Skipped,
    Flat,
    Named(String),
}

pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = fields_of(input, "Module")?;
    let float = match says_f64(input)? {
        true => Some(format_ident!("f64")),
        false => float_parameter(input),
    };
    let mut generics = input.generics.clone();
    let float_type = match &float {
        Some(ident) => quote!(#ident),
        None if is_plain(fields)? => {
            generics.params.push(parse_quote!(AnyFloat: ::gradus::tensor::Float));
            quote!(AnyFloat)
        }
        None => quote!(f32),
    };
    let (mut shared, mut mutable) = (Vec::new(), Vec::new());
    for (field, member, name) in members(fields) {
        let ty = &field.ty;
        let bound: WherePredicate = parse_quote!(#ty: ::gradus::Module<#float_type>);
        match visit_of(field, name)? {
            Visit::Skipped => continue,
            Visit::Flat => {
                shared.push(quote!(::gradus::Module::<#float_type>::visit(&self.#member, path, visitor);));
                mutable.push(quote!(::gradus::Module::<#float_type>::visit_mut(&mut self.#member, path, f);));
            }
            Visit::Named(name) => {
                shared.push(quote!(path.at(#name, |path| ::gradus::Module::<#float_type>::visit(&self.#member, path, visitor));));
                mutable
                    .push(quote!(path.at(#name, |path| ::gradus::Module::<#float_type>::visit_mut(&mut self.#member, path, f));));
            }
        }
        if mentions_parameter(input, field) {
            generics.make_where_clause().predicates.push(bound);
        }
    }
    let ident = &input.ident;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, type_generics, _) = input.generics.split_for_impl();
    Ok(quote! {
        impl #impl_generics ::gradus::Module<#float_type> for #ident #type_generics #where_clause {
            fn visit<'visit>(
                &'visit self,
                path: &mut ::gradus::Path,
                visitor: &mut dyn ::gradus::Visitor<'visit, #float_type>,
            ) {
                let _ = (&path, &visitor);
                #(#shared)*
            }
            fn visit_mut(
                &mut self,
                path: &mut ::gradus::Path,
                f: &mut dyn FnMut(&::gradus::Path, &mut ::gradus::Param<#float_type>),
            ) {
                let _ = (&path, &f);
                #(#mutable)*
            }
        }
    })
}

/// Whether the struct itself has the attribute `#[module(f64)]`.
fn says_f64(input: &DeriveInput) -> Result<bool> {
    let mut found = false;
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            found = meta.path.is_ident("f64");
            if found { Ok(()) } else { Err(meta.error("wanted `f64`; the other attributes belong on fields")) }
        })?;
    }
    Ok(found)
}

/// Whether every field that is visited is a number, a boolean or a string.
fn is_plain(fields: &Fields) -> Result<bool> {
    const PLAIN: [&str; 11] = ["bool", "u8", "u32", "u64", "usize", "i32", "i64", "isize", "f32", "f64", "String"];
    for (field, _, name) in members(fields) {
        let ty = &field.ty;
        if !matches!(visit_of(field, name)?, Visit::Skipped) && !PLAIN.contains(&quote!(#ty).to_string().as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn visit_of(field: &syn::Field, name: String) -> Result<Visit> {
    let mut visit = Visit::Named(name);
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                visit = Visit::Skipped;
            } else if meta.path.is_ident("flatten") {
                visit = Visit::Flat;
            } else if meta.path.is_ident("name") {
                visit = Visit::Named(meta.value()?.parse::<LitStr>()?.value());
            } else {
                return Err(meta.error("wanted `skip`, `flatten` or `name = \"…\"`"));
            }
            Ok(())
        })?;
    }
    Ok(visit)
}
